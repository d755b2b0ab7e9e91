"""Chat templates: the reference's output for those it knows, Jinja with bounds for all others."""

import pytest

from llamacy.server.templates import ChatTemplate, TemplateError, known, usable

CHAT = [("system", "You are a helpful assistant"), ("user", "Hello"), ("assistant", "Hi there"), ("user", "How are you?")]
SPACED = [*CHAT[:2], ("assistant", "   I am an assistant   ")]

OUTPUT = {
    "chatml": "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
              "<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nHow are you?<|im_end|>\n<|im_start|>assistant\n",
    "llama2": "[INST] You are a helpful assistant\nHello [/INST]Hi there</s>[INST] How are you? [/INST]",
    "zephyr": "<|system|>\nYou are a helpful assistant<|endoftext|>\n<|user|>\nHello<|endoftext|>\n<|assistant|>\nHi there"
              "<|endoftext|>\n<|user|>\nHow are you?<|endoftext|>\n<|assistant|>\n",
    "monarch": "system\nYou are a helpful assistant</s>\n<s>user\nHello</s>\n<s>assistant\nHi there</s>\n<s>user\nHow are you?"
               "</s>\n<s>assistant\n",
    "gemma": "<start_of_turn>user\nYou are a helpful assistant\n\nHello<end_of_turn>\n<start_of_turn>model\nHi there<end_of_turn>\n"
             "<start_of_turn>user\nHow are you?<end_of_turn>\n<start_of_turn>model\n",
    "orion": "Human: You are a helpful assistant\n\nHello\n\nAssistant: </s>Hi there</s>Human: How are you?\n\nAssistant: </s>",
    "openchat": "You are a helpful assistant<|end_of_turn|>GPT4 Correct User: Hello<|end_of_turn|>GPT4 Correct Assistant: Hi there"
                "<|end_of_turn|>GPT4 Correct User: How are you?<|end_of_turn|>GPT4 Correct Assistant:",
    "vicuna": "You are a helpful assistant\n\nUSER: Hello\nASSISTANT: Hi there</s>\nUSER: How are you?\nASSISTANT:",
    "vicuna-orca": "SYSTEM: You are a helpful assistant\nUSER: Hello\nASSISTANT: Hi there</s>\nUSER: How are you?\nASSISTANT:",
    "deepseek": "You are a helpful assistant### Instruction:\nHello\n### Response:\nHi there\n<|EOT|>\n### Instruction:\n"
                "How are you?\n### Response:\n",
    "command-r": "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>You are a helpful assistant<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|>"
                 "<|USER_TOKEN|>Hello<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hi there<|END_OF_TURN_TOKEN|>"
                 "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>How are you?<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "llama3": "<|start_header_id|>system<|end_header_id|>\n\nYou are a helpful assistant<|eot_id|><|start_header_id|>user"
              "<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHi there<|eot_id|>"
              "<|start_header_id|>user<|end_header_id|>\n\nHow are you?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "phi3": "<|system|>\nYou are a helpful assistant<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\nHi there<|end|>\n<|user|>\n"
            "How are you?<|end|>\n<|assistant|>\n",
}
BY_TEXT = {
    "llama2 [INST] <<SYS>>": "[INST] <<SYS>>\nYou are a helpful assistant\n<</SYS>>\n\nHello [/INST]Hi there</s>[INST] How are "
                             "you? [/INST]",
    "[INST] <<SYS>> ' ' + eos_token": "[INST] <<SYS>>\nYou are a helpful assistant\n<</SYS>>\n\nHello [/INST] Hi there </s>[INST] "
                                      "How are you? [/INST]",
    "<<SYS>> bos_token + '[INST] x": "[INST] <<SYS>>\nYou are a helpful assistant\n<</SYS>>\n\nHello [/INST]Hi there</s><s>[INST] "
                                     "How are you? [/INST]",
    "USER: SYSTEM: ASSISTANT: ": OUTPUT["vicuna-orca"], "USER: ASSISTANT: ": OUTPUT["vicuna"],
    "x <|user|> <|assistant|> <|end|>": OUTPUT["zephyr"], "<|assistant|> <|end|>": OUTPUT["phi3"],
    "'\\n\\nAssistant: ' + eos_token": OUTPUT["orion"], "bos_token + message['role']": OUTPUT["monarch"],
}
KEEP_BLANKS = {"chatml", "zephyr", "llama2", "monarch", "orion", "openchat", "vicuna", "vicuna-orca", "deepseek"}


def messages(pairs):
    return [{"role": role, "content": content} for role, content in pairs]


@pytest.mark.parametrize("name", OUTPUT)
def test_by_name(name):
    assert ChatTemplate(name, None).render(messages(CHAT)) == OUTPUT[name]


@pytest.mark.parametrize("text", BY_TEXT)
def test_by_text(text):
    assert ChatTemplate(text, None).render(messages(CHAT)) == BY_TEXT[text]
    assert ChatTemplate(None, text.encode()).render(messages(CHAT)) == BY_TEXT[text]


@pytest.mark.parametrize("name", OUTPUT)
def test_blanks(name):
    text = ChatTemplate(name, None).render(messages(SPACED))
    assert ("   I am an assistant   " in text) == (name in KEEP_BLANKS) and "I am an assistant" in text


def test_llama2_strips_if_its_text_does():
    assert "[/INST]I am an assistant</s>" in ChatTemplate("[INST] content.strip()", None).render(messages(SPACED))


def test_without_a_template_it_is_chatml():
    assert ChatTemplate(None, None).render(messages(CHAT)) == OUTPUT["chatml"]


def test_names_count_on_the_command_line_only():
    assert known("llama2", by_name=True) and not known("llama2", by_name=False)
    assert not usable("INVALID TEMPLATE") and not usable("") and usable("phi3") and usable("a {{ messages }}")
    assert not usable("{% for %}")


def test_only_the_start_of_a_model_template_counts():
    text = "{{ messages[0].content }}" + " " * 3000 + "{# <|im_start|> #}"
    assert ChatTemplate(None, text.encode()).render(messages(CHAT)).startswith("You are a helpful assistant")


JINJA = ("{{ bos_token }}{% for m in messages %}{% if loop.first and m.role == 'system' %}({{ m['content'] | trim }})"
         "{% else %}[{{ m.role.upper() }}] {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
         "{% if add_generation_prompt %}[BOT]{% endif %}")


def test_jinja_of_a_model_and_no_second_bos():
    template = ChatTemplate(None, JINJA.encode(), bos="<s>", eos="</s>")
    assert template.render(messages(CHAT)) == ("(You are a helpful assistant)[USER] Hello</s>[ASSISTANT] Hi there</s>"
                                               "[USER] How are you?</s>[BOT]")


def test_templates_of_models_in_jinja_agree_with_the_reference():
    """Mistral's own text, known to the reference by its mark, rendered both ways."""
    from llamacy.server.jinja import Jinja
    text = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + "
            "' [/INST]' }}{% else %}{{ message['content'] + eos_token}}{% endif %}{% endfor %}")
    chat = messages([("user", "Hello"), ("assistant", "Hi there"), ("user", "How are you?")])
    mine = Jinja(text).render(messages=chat, bos_token="", eos_token="</s>")
    assert mine == ChatTemplate(None, text.encode()).render(chat) == "[INST] Hello [/INST]Hi there</s>[INST] How are you? [/INST]"


@pytest.mark.parametrize("text, reason", [
    ("{{ raise_exception('roles must alternate') }}", "roles must alternate"), ("{{ messages[99].content.x }}", "no element 99"),
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps"),
    ("{% for a in range(9999) %}{{ 'x' ~ ('%s' | string) }}{% endfor %}{{ 'a' * 10 ** 9 }}", "not available"),
    ("{{ '{:1000000000}'.format(1) }}", "unsafe"), ("{{ '%1000000000d' % 1 }}", "not available"),
    ("{{ 'a'.ljust(10 ** 10) }}", "not"), ("{{ ''.__class__.__mro__ }}", "unsafe"), ("{{ messages.append(1) }}", "unsafe"),
    ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "recursion"), ("{% include 'x' %}", "loader"),
    ("{% set x = namespace(t='aaaaaaaaaa') %}{% for i in range(60) %}{% set x.t = x.t ~ x.t %}{% endfor %}", "values of more than")],
    ids=["refuses", "undefined", "steps", "power", "format", "percent", "ljust", "class", "changes", "recursion", "include", "twice"])
def test_bounds_of_jinja(text, reason):
    with pytest.raises(TemplateError, match=reason):
        ChatTemplate(None, ("{# #}" + text).encode()).render(messages(CHAT))


def test_a_template_that_is_no_jinja_refuses_chats():
    template = ChatTemplate(None, b"{% if %}")
    with pytest.raises(TemplateError, match="not valid"):
        template.render(messages(CHAT))
