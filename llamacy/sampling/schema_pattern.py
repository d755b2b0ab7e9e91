"""A `pattern` of a JSON schema (a small part of regular expressions) -> the body of a grammar rule.

Source: _visit_pattern of llama.cpp b2794. Differs: what that reads past or loops on (a parenthesis too few or too many,
a bracket or brace without its partner, nothing to repeat) is an error; alternatives at the top stay within the quotes.
"""

from llamacy.errors import GrammarError

SPECIAL = "|.()[]{}*+?"                # what is no literal
BARE = "[]()|{}*+?"                    # a backslash before one of these goes; GBNF knows what it means before others
MOST_GROUPS = 100                      # within each other
MOST_TEXT = 1 << 22                    # of a grammar, so of a repetition: what the parser reads


def repetition(item, least, most, separator="", literal=False):
    """GBNF for `item` from `least` to `most` times; most None: any number.

    literal: `item` is a quoted text, which is repeated within its quotes.
    Errors  GrammarError: the text would be too long.
    """
    if (max(least, most or 0) + 1) * (len(item) + len(separator) + 5) > MOST_TEXT:
        raise GrammarError(f"JSON schema conversion failed:\nToo many repetitions: {max(least, most or 0)}")
    if not separator and (least, most) == (0, 1):
        return item + "?"
    if not separator and (least, most) == (1, None):
        return item + "+"
    between = f" {separator} " if separator else " "
    required = f'"{item[1:-1] * least}"' if literal and not separator and least else between.join([item] * least)
    lead = f"{separator} " if separator else ""
    optional = optional_items(item, None if most is None else most - least, lead, least > 0)
    return f"{required} {optional}" if required and most != least else required + optional


def optional_items(item, count, lead, after_others):
    """`count` more items (None: any number), each only after the one before; lead: separator, if any, and a blank."""
    if count is None:
        more = f"({lead}{item})*"
        return f"({item} {more})?" if lead and not after_others else more
    if count == 0:
        return ""
    first = f"({lead if after_others else ''}{item}"
    return " ".join([first] + [f"({lead}{item}"] * (count - 1)) + ")?" * count


class Pattern:
    """Reads one pattern. `add_rule(name, body) -> name`, `errors` and `warnings` (lists) are the converter's."""

    def __init__(self, text, name, add_rule, errors, warnings):
        self.text = text
        self.at = 0
        self.name = name
        self.add_rule = add_rule
        self.errors = errors
        self.warnings = warnings
        self.parts = {}                # body -> the rule made of it
        self.groups = 0                # that are open
        self.failed = False

    def body(self):
        """The rule's body; None if there was an error."""
        if len(self.text) < 2 or self.text[0] != "^" or self.text[-1] != "$":
            return self.fail("Pattern must start with '^' and end with '$'")
        self.text = self.text[1:-1]
        items = self.sequence()
        text = joined(items)
        if ("|", False) in items:
            text = f"({text})"
        return None if self.failed else f'"\\"" {text} "\\"" space'

    def fail(self, message):
        """Note an error; what comes after it is not read."""
        if not self.failed:
            self.errors.append(message)
        self.failed = True
        self.at = len(self.text)

    def sequence(self):
        """Items (text, is it a literal without its quotes) up to the end or the parenthesis that closes the group."""
        items = []
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == ")":
                if not self.groups:
                    self.fail("Unbalanced parentheses")
                break
            if c in "*+?{":
                self.repeat(items)
            elif c in "]}":
                self.fail("Unbalanced square brackets" if c == "]" else "Unbalanced curly brackets")
            else:
                items.append(self.item(c))
        return items

    def item(self, c):
        if c == "(":
            return self.group()
        if c == "[":
            return self.char_class()
        if c in ".|":
            self.at += 1
            return (self.add_rule("dot", r"[^\x0A\x0D]") if c == "." else "|"), False
        return self.literal()

    def group(self):
        self.at += 1
        self.groups += 1
        if self.groups > MOST_GROUPS:
            self.fail(f"Pattern with more than {MOST_GROUPS} groups within each other")
        if self.text.startswith("?", self.at):
            self.warnings.append("Unsupported pattern syntax")
            self.at += 2 if self.text.startswith("?:", self.at) else 1
        text = joined(self.sequence())
        if self.at >= len(self.text):
            self.fail("Unbalanced parentheses")
        self.at += 1
        self.groups -= 1
        return f"({text})", False

    def char_class(self):
        begin = self.at
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != "]":
            self.at += 2 if self.text[self.at] == "\\" else 1
        if self.at >= len(self.text):
            self.fail("Unbalanced square brackets")
        self.at += 1
        return self.text[begin:self.at], False

    def literal(self):
        """One character: those that follow are joined to it later, unless an operator comes between."""
        c = self.text[self.at]
        self.at += 1
        if c == "\\" and self.at < len(self.text):
            c = self.text[self.at]
            self.at += 1
            return (c if c in BARE else "\\" + c), True
        return {'"': '\\"', "\n": "\\n", "\r": "\\r"}.get(c, c), True

    def repeat(self, items):
        """An operator: it applies to the last item."""
        operator = self.text[self.at]
        self.at += 1
        if operator == "{":
            bounds = self.bounds()
        if self.failed:
            return
        if not items or items[-1] == ("|", False):
            return self.fail("Nothing to repeat in pattern")
        text, literal = items.pop()
        if operator != "{":
            items.append(((f'"{text}"' if literal else text) + operator, False))
            return
        if not literal:
            if text not in self.parts:
                self.parts[text] = self.add_rule(f"{self.name}-{len(self.parts) + 1}", text)
            text = self.parts[text]
        items.append((repetition(f'"{text}"' if literal else text, *bounds, literal=literal), False))

    def bounds(self):
        """(least, most) of {n}, {n,}, {,m} or {n,m}; most None: no limit."""
        end = self.text.find("}", self.at)
        if end < 0:
            return self.fail("Unbalanced curly brackets")
        numbers = self.text[self.at:end].split(",")
        self.at = end + 1
        if len(numbers) > 2:
            return self.fail("Wrong number of values in curly brackets")
        if any(n and not (n.isascii() and n.isdigit() and len(n) < 10) for n in numbers) or numbers == [""]:
            return self.fail("Invalid number in curly brackets")
        least = int(numbers[0] or 0)
        most = int(numbers[-1]) if numbers[-1] else None
        if most is not None and most < least:
            return self.fail("Invalid number in curly brackets")
        return least, most


def joined(items):
    """Items as GBNF: literals that follow each other are one."""
    parts, literal = [], ""
    for text, is_literal in [*items, ("", False)]:
        if is_literal:
            literal += text
            continue
        if literal:
            parts.append(f'"{literal}"')
            literal = ""
        parts.append(text)
    return " ".join(parts[:-1])
