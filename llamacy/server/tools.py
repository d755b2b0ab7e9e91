"""Tools in a chat: the model is told of them, a grammar keeps its calls well-formed, and calls come back as OpenAI's do.

A call is one JSON object {"name": ..., "arguments": {...}}. With tool_choice "auto" the answer is a call or a text that does
not begin with a brace; with "required", or a function's name, it is a call.
"""

import json
import re
import secrets

from .errors import ApiError
from .jsontext import encode, type_error

MOST_TOOLS = 128
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
HEAD = re.compile(r'\{\s*"name"\s*:\s*"([A-Za-z0-9_.-]{1,64})"\s*,\s*"arguments"\s*:')
CONTROL = re.compile(r"[\x00-\x1f]")
FREE = 'free ::= ([^{] [^\\x00]*)?\n'
GUIDE = ('You may call one of these functions by answering with nothing but a JSON object of the form {"name": "<function>", '
         '"arguments": {...}}:\n')


class Tools:
    """The functions of a request; `forced`: the answer must be a call."""

    def __init__(self, functions, forced):
        self.functions, self.forced = functions, forced


def wanted(body):
    """Tools of a request, None if it has none. Errors  ApiError."""
    listed, choice = body.get("tools"), body.get("tool_choice")
    if not listed or choice == "none":
        return None
    if not isinstance(listed, list) or len(listed) > MOST_TOOLS:
        raise ApiError(f'"tools" must be an array of at most {MOST_TOOLS}')
    functions = [function_of(tool) for tool in listed]
    if isinstance(choice, dict):
        name = choice.get("function", {}).get("name") if isinstance(choice.get("function"), dict) else None
        functions = [function for function in functions if function["name"] == name]
        if not functions:
            raise ApiError('"tool_choice" names no function of "tools"')
    elif choice not in (None, "auto", "required"):
        raise ApiError('"tool_choice" must be "none", "auto", "required" or a function')
    return Tools(functions, isinstance(choice, dict) or choice == "required")


def function_of(tool):
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type", "function") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not NAME.match(function["name"]):
        raise ApiError('"tools" must contain functions with a name of letters, digits, _ . and -')
    if not isinstance(function.get("parameters", {}), dict):
        raise ApiError(f'the parameters of function "{function["name"]}" must be a JSON schema')
    return function


def schema(tools):
    """The schema of a call."""
    options = [{"type": "object", "required": ["name", "arguments"],
                "properties": {"name": {"const": function["name"]}, "arguments": function.get("parameters") or {"type": "object"}}}
               for function in tools.functions]
    return options[0] if len(options) == 1 else {"oneOf": options}


def constrain(native, tools, to_grammar):
    """Put the grammar of calls into a native body. Errors  ApiError."""
    if native.get("grammar") is not None or native.get("json_schema") is not None:
        raise ApiError('"tools" cannot be combined with "grammar", "json_schema" or "response_format"')
    text = to_grammar(schema(tools)).decode()
    if not tools.forced:
        text = "root ::= call | free\n" + FREE + re.sub(r"(?m)^root ::=", "call ::=", text)
    native.pop("json_schema", None)
    native["grammar"] = text


class Reader:
    """Tells an answer's text from a call, as it comes: a call begins with a brace.

    name       of the function that is called, "" if none is (yet)
    arguments  what has come of them: JSON text as the model wrote it, control characters escaped.  complete: all of it
    """

    def __init__(self, tools):
        self.names = {function["name"] for function in tools.functions}
        self.id = "call_" + secrets.token_hex(12)
        self.held, self.free = "", False
        self.name, self.arguments, self.complete = "", "", False
        self.depth, self.quoted, self.escaped = 0, False, False

    def feed(self, text):
        """OpenAI's deltas for what has come: text, or pieces of a call."""
        if self.free:
            return [{"content": text}] if text else []
        if self.name:
            return self.more(text)
        self.held += text
        if self.held[:1] not in ("", "{"):
            return self.rest()
        head = HEAD.match(self.held)
        if not head or head[1] not in self.names:
            return []
        self.name = head[1]
        first = {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": ""}}
        return [{"tool_calls": [{"index": 0, **first}]}, *self.more(self.held[head.end():])]

    def more(self, text):
        """Text that goes on inside the arguments. The grammar lets a string have control characters, which JSON does not."""
        text = CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        at = 0 if self.arguments else len(text) - len(text.lstrip())
        end = at
        while end < len(text) and not self.complete:
            end += self.step(text[end])
        piece = text[at:end]
        self.arguments += piece
        return [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}] if piece else []

    def step(self, c):
        """Follow one character; 1 if it belongs to the value, 0 if the value ended before it."""
        if self.quoted:
            self.quoted = self.escaped or c != '"'
            self.escaped = not self.escaped and c == "\\"
            self.complete = not self.quoted and not self.depth
        elif c == '"':
            self.quoted = True
        elif c in "[{":
            self.depth += 1
        elif not self.depth and c in "},":
            self.complete = True           # a number or a word has no end of its own
            return 0
        elif c in "]}":
            self.depth -= 1
            self.complete = not self.depth
        return 1

    def rest(self):
        """What was held back and is no call."""
        text, self.held, self.free = self.held, "", True
        return [{"content": text}] if text and not self.name else []

    def calls(self):
        """OpenAI's `tool_calls` of a whole answer, None if it is a text."""
        if not self.name:
            return None
        return [{"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}]


# ---- messages


def plain_messages(server, messages, tools):
    """Messages with text in role and content; tools are described in words if the template does not do it."""
    if not isinstance(messages, list):
        raise type_error("array", messages)
    found = [plain(server, message) for message in messages]
    if tools and not server.template.knows_tools:
        guide = GUIDE + "\n".join(encode(function) for function in tools.functions)
        if found and found[0]["role"] == "system":
            found[0] = {**found[0], "content": found[0]["content"] + "\n\n" + guide}
        else:
            found.insert(0, {"role": "system", "content": guide})
    return found


def plain(server, message):
    if not isinstance(message, dict):
        raise type_error("object", message)
    role, content = message.get("role"), message.get("content")
    out = {"role": role if isinstance(role, str) else "", "content": content if isinstance(content, str) else ""}
    if isinstance(content, list):
        out["content"] = text_parts(server, content)
    if isinstance(message.get("tool_calls"), list):
        out["tool_calls"] = message["tool_calls"]
        if not out["content"] and not server.template.knows_tools:
            out["content"] = "\n".join(call_text(call) for call in message["tool_calls"])
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            out[name] = message[name]
    return out


def text_parts(server, parts):
    """The text of OpenAI's content arrays. The reference takes them for no text at all, and says so in its log."""
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    server.log.warn("json_value", "The content of a message is an array: only its text is used")
    return "\n".join(texts)


def call_text(call):
    """A call of an earlier turn as the model wrote it."""
    function = call.get("function") if isinstance(call, dict) and isinstance(call.get("function"), dict) else {}
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (ValueError, TypeError, RecursionError):
        arguments = {}
    return encode({"name": str(function.get("name", "")), "arguments": arguments})
