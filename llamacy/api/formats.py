"""Chat formats by the names that Python users know them by."""

from typing import Any

from ..server.templates import ChatTemplate, usable

DEFAULT = "llama-2"        # of a model that has no template

# name: what the template table knows it by, texts that end an answer even if they are no tokens of the model
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "llama-2": ("[INST]<<SYS>>", ()),
    "llama-3": ("llama3", ("<|eot_id|>",)),
    "mistral-instruct": ("llama2", ()),
    "chatml": ("chatml", ("<|im_end|>",)),
    "qwen": ("chatml", ("<|im_end|>", "<|endoftext|>")),
    "zephyr": ("zephyr", ("<|endoftext|>",)),
    "gemma": ("gemma", ("<end_of_turn>",)),
    "openchat": ("openchat", ("<|end_of_turn|>",)),
    "vicuna": ("vicuna", ("USER:",)),
    "deepseek": ("deepseek", ("<|EOT|>",)),
    "command-r": ("command-r", ("<|END_OF_TURN_TOKEN|>",)),
    "phi-3": ("phi3", ("<|end|>",)),
    "orion": ("orion", ()),
    "monarch": ("monarch", ()),
}


class ChatFormat:
    """How a conversation becomes a prompt. given: a name, Jinja text, or None: the model's own, else DEFAULT.

    template   renders.  stop: [str]
    Errors     ValueError: an unknown name.
    """

    def __init__(self, given: str | None, model: Any) -> None:
        vocab, own = model.vocab, model.gguf.get("tokenizer.chat_template")
        name = given if given is not None or own else DEFAULT
        text, stop = FORMATS.get(name or "", (name, ()))
        if text is not None and not usable(text):
            raise ValueError(f"chat_format {given!r} is unknown: expected a Jinja template or one of {', '.join(FORMATS)}")
        self.name = name or "chat_template.default"
        self.stop = list(stop)
        self.template = ChatTemplate(text, own, special(vocab, vocab.bos), special(vocab, vocab.eos))
        self.log = self                    # for the functions of the server's tools.py, which warn

    def warn(self, *words: object) -> None:
        """Nobody reads the warnings of a library."""


def special(vocab: Any, id: int) -> str:
    return vocab.text(id).decode("utf-8", "replace") if id >= 0 else ""
