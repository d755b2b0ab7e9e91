"""Chat templates: a conversation -> the text of a prompt.

A template is known by name, or by what its text contains, and is then written as llama.cpp writes it; any other text is
rendered as Jinja, in a sandbox with bounds. Source: llama_chat_apply_template of llama.cpp b2794.
"""

from ..errors import LlamacyError

LOOKED_AT = 2047       # bytes of a model's template in which known marks count
BLANKS = " \t\n\v\f\r"


class TemplateError(LlamacyError):
    """A conversation cannot be written with this template."""


def trim(text):
    return text.strip(BLANKS)


def turns(before, after, strip=False):
    """Every message between two texts in which ROLE stands for its role."""
    def render(messages, text, name):
        parts = [before.replace("ROLE", role) + (trim(content) if strip else content) + after for role, content in messages]
        return "".join(parts)
    return render


def llama2(messages, text, name):
    named = text == name
    system = not named and "<<SYS>>" in text
    pad = " " if not named and "' ' + eos_token" in text else ""
    bos = "<s>" if not named and "bos_token + '[INST]" in text else ""
    strip = trim if not named and "content.strip()" in text else str
    out, inside = "[INST] ", True
    for role, content in messages:
        content = strip(content)
        if not inside:
            out += bos + "[INST] "
            inside = True
        if role == "system":
            out += f"<<SYS>>\n{content}\n<</SYS>>\n\n" if system else content + "\n"
        elif role == "user":
            out += content + " [/INST]"
        else:
            out += pad + content + pad + "</s>"
            inside = False
    return out


def monarch(messages, text, name):
    return "<s>".join(f"{role}\n{content}</s>\n" for role, content in messages) + ("<s>assistant\n" if messages else "")


def gemma(messages, text, name):
    out, system = "", ""
    for role, content in messages:
        if role == "system":
            system = trim(content)
            continue
        role = "model" if role == "assistant" else role
        out += f"<start_of_turn>{role}\n"
        if system and role != "model":
            out += system + "\n\n"
            system = ""
        out += trim(content) + "<end_of_turn>\n"
    return out


def orion(messages, text, name):
    out, system = "", ""
    for role, content in messages:
        if role == "system":
            system = content
        elif role == "user":
            out += "Human: " + (system + "\n\n" if system else "") + content + "\n\nAssistant: </s>"
            system = ""
        else:
            out += content + "</s>"
    return out


def openchat(messages, text, name):
    return "".join(f"{content}<|end_of_turn|>" if role == "system" else
                   f"GPT4 Correct {role[:1].upper()}{role[1:]}: {content}<|end_of_turn|>" for role, content in messages)


def vicuna(messages, text, name):
    orca = name == "vicuna-orca" or "SYSTEM: " in text
    forms = {"system": "SYSTEM: {}\n" if orca else "{}\n\n", "user": "USER: {}\n", "assistant": "ASSISTANT: {}</s>\n"}
    return "".join(forms[role].replace("{}", content) for role, content in messages if role in forms)


def deepseek(messages, text, name):
    forms = {"system": "{}", "user": "### Instruction:\n{}\n", "assistant": "### Response:\n{}\n<|EOT|>\n"}
    return "".join(forms[role].replace("{}", content) for role, content in messages if role in forms)


def command_r(messages, text, name):
    marks = {"system": "SYSTEM", "user": "USER", "assistant": "CHATBOT"}
    return "".join(f"<|START_OF_TURN_TOKEN|><|{marks[role]}_TOKEN|>{trim(content)}<|END_OF_TURN_TOKEN|>"
                   for role, content in messages if role in marks)


# Names, marks that a text must all contain, how messages are written, what comes after them. The first hit wins.
KNOWN = (
    (("chatml",), ("<|im_start|>",), turns("<|im_start|>ROLE\n", "<|im_end|>\n"), "<|im_start|>assistant\n"),
    (("llama2",), ("[INST]",), llama2, ""),
    (("zephyr",), ("<|user|>",), turns("<|ROLE|>\n", "<|endoftext|>\n"), "<|assistant|>\n"),
    (("monarch",), ("bos_token + message['role']",), monarch, ""),
    (("gemma",), ("<start_of_turn>",), gemma, "<start_of_turn>model\n"),
    (("orion",), ("'\\n\\nAssistant: ' + eos_token",), orion, ""),
    (("openchat",), ("GPT4 Correct ",), openchat, "GPT4 Correct Assistant:"),
    (("vicuna", "vicuna-orca"), ("USER: ", "ASSISTANT: "), vicuna, "ASSISTANT:"),
    (("deepseek",), ("### Instruction:", "<|EOT|>"), deepseek, "### Response:\n"),
    (("command-r",), ("<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"), command_r, "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"),
    (("llama3",), ("<|start_header_id|>", "<|end_header_id|>"),
     turns("<|start_header_id|>ROLE<|end_header_id|>\n\n", "<|eot_id|>", strip=True),
     "<|start_header_id|>assistant<|end_header_id|>\n\n"),
    (("phi3",), ("<|assistant|>", "<|end|>"), turns("<|ROLE|>\n", "<|end|>\n", strip=True), "<|assistant|>\n"),
)


def known(text, by_name=True):
    """The row of KNOWN that a name or a template's text belongs to; None."""
    for row in KNOWN:
        if (by_name and text in row[0]) or all(mark in text for mark in row[1]):
            return row
    return None


def usable(text):
    """Can --chat-template have this value?"""
    if known(text):
        return True
    if "{{" not in text and "{%" not in text:
        return False
    from .jinja import Jinja
    try:
        Jinja(text)
    except TemplateError:
        return False
    return True


class ChatTemplate:
    """The template of a server.

    given    the value of --chat-template, or None
    model    the text in the model's file (bytes), or None
    error    why it cannot be used, or None: then `render` raises it
    """

    def __init__(self, given, model, bos="", eos=""):
        self.bos, self.eos = bos, eos
        self.built_in = given is None
        self.text = given if given is not None else (model or b"<|im_start|>").decode("utf-8", "replace")
        looked_at = self.text if given is not None else self.text.encode()[:LOOKED_AT].decode("utf-8", "replace")
        self.row = known(looked_at, by_name=given is not None)
        self.error, self._jinja = None, None
        if self.row is None:
            try:
                self.jinja()
            except TemplateError as error:
                self.error = error

    @property
    def knows_tools(self):
        """Does the text say how tools are told to the model?"""
        return "tools" in self.text and "{%" in self.text

    def jinja(self):
        if self._jinja is None:
            from .jinja import Jinja
            self._jinja = Jinja(self.text)
        return self._jinja

    def render(self, messages, tools=None):
        """The prompt (str). messages: dicts with at least role and content, both str. Errors  TemplateError."""
        if self.error:
            raise self.error
        if self.row is None or (tools and self.knows_tools):
            text = self.jinja().render(messages=messages, tools=tools, bos_token=self.bos, eos_token=self.eos)
            return text[len(self.bos):] if self.bos and text.startswith(self.bos) else text
        names, _, write, suffix = self.row
        name = self.text if self.text in names else names[0]
        pairs = [(m["role"].partition("\0")[0], m["content"].partition("\0")[0]) for m in messages]
        return write(pairs, self.text, name) + suffix
