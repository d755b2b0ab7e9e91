"""Templates that come with a model, rendered in a sandbox with bounds on output, steps and the size of values.

The template is a program in a file from the net: it can change nothing, call nothing but what is given here, and is stopped
when it takes too long or makes too much of too little.
"""

import json
import sys
from datetime import datetime
from threading import local

import jinja2
from jinja2.compiler import CodeGenerator
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from .templates import TemplateError

MOST_TEXT = 4 << 20    # characters that a template may produce
MOST_VALUE = 4 << 20   # characters of a text, or items of a list, that an operation may make
MOST_STEPS = 500_000   # lines of compiled template that may run
STEP_SIZE = 256        # characters that are moved count as one step for each so many
FORBIDDEN = {"center", "ljust", "rjust", "zfill", "format", "format_map", "expandtabs", "translate"}    # much of nothing
NO_FILTER = ("batch", "center", "format", "indent", "pprint", "random", "round", "slice", "urlize", "wordwrap", "xmlattr")


class Concat(CodeGenerator):
    """Compiles a ~ b to a call that looks at sizes."""

    def visit_Concat(self, node, frame):
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without what makes large values of small ones. `budget.left`: steps that this thread's rendering has left."""

    code_generator_class = Concat
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options):
        super().__init__(**options)
        self.budget = local()
        self.concat = self.joined
        for name in NO_FILTER:
            del self.filters[name]
        self.filters.update(tojson=to_json, join=self.join_filter, replace=self.replace, indent=self.indent)
        self.globals.update(raise_exception=fail, strftime_now=lambda form: datetime.now().strftime(str(form)[:200]))
        del self.globals["lipsum"]

    def spend(self, steps):
        self.budget.left -= steps
        if self.budget.left < 0:
            raise TemplateError(f"the chat template takes more than {MOST_STEPS} steps")

    def sized(self, size):
        """An operation is about to make something of this size."""
        if size > MOST_VALUE:
            raise TemplateError(f"the chat template makes values of more than {MOST_VALUE} characters")
        self.spend(size // STEP_SIZE)

    def joined(self, parts):
        parts = [part if isinstance(part, str) else str(part) for part in parts]
        self.sized(sum(map(len, parts)))
        return "".join(parts)

    def join_filter(self, value, separator="", attribute=None):
        if attribute is not None:
            value = [self.getitem(item, attribute) for item in value]
        parts = [str(item) for item in value]
        self.sized(sum(map(len, parts)) + len(parts) * len(str(separator)))
        return str(separator).join(parts)

    def replace(self, text, old, new, count=-1):
        text, old, new = str(text), str(old), str(new)
        self.sized(len(text) + (text.count(old) + 1) * len(new))
        return text.replace(old, new, -1 if count is None else count)

    def indent(self, text, width=4, first=False, blank=False):
        pad = width[:64] if isinstance(width, str) else " " * max(0, min(64, width))
        lines = str(text).split("\n")
        self.sized(len(str(text)) + len(lines) * len(pad))
        return "\n".join(pad + line if (i or first) and (line or blank) else line for i, line in enumerate(lines))

    def call_binop(self, context, operator, left, right):
        numbers = all(isinstance(x, (int, float)) and abs(x) < 1 << 64 for x in (left, right))
        if operator == "+" and not numbers and hasattr(left, "__len__") and hasattr(right, "__len__"):
            self.sized(len(left) + len(right))
        elif not numbers or operator == "**":
            raise SecurityError(f"the operator {operator} is not available here for such values")
        return self.binop_table[operator](left, right)

    def call(self, context, called, *args, **kwargs):
        text, name = getattr(called, "__self__", None), getattr(called, "__name__", "")
        if isinstance(text, str) and name == "replace":
            return self.replace(text, *args, **kwargs)
        if isinstance(text, str) and name == "join":
            return self.join_filter(*args, separator=text)
        return super().call(context, called, *args, **kwargs)

    def wrap_str_format(self, value):
        return None                        # no formatting at all, instead of a safe kind of it: widths make long texts

    def is_safe_attribute(self, obj, attr, value):
        return attr not in FORBIDDEN and super().is_safe_attribute(obj, attr, value)


def fail(message):
    raise TemplateError(str(message))


def to_json(value, indent=None):
    return json.dumps(value, ensure_ascii=False, indent=min(indent, 8) if isinstance(indent, int) else None)


class Jinja:
    """A template. Errors  TemplateError: it is no Jinja."""

    def __init__(self, text):
        try:
            self.env = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
            self.env.budget.left = MOST_STEPS          # constants are computed when it is compiled
            self.template = self.env.from_string(text)
        except TemplateError:
            raise
        except (jinja2.TemplateError, RecursionError, MemoryError, SyntaxError, ValueError) as error:
            raise TemplateError(f"the chat template is not valid: {first_line(error)}") from None

    def render(self, **values):
        """str. Errors  TemplateError: the template refuses, fails, or runs into a bound."""
        parts, size = [], 0
        self.env.budget.left = MOST_STEPS
        before = sys.gettrace()
        sys.settrace(self.enter)
        try:
            for part in self.template.generate(add_generation_prompt=True, **values):
                parts.append(part)
                size += len(part)
                if size > MOST_TEXT:
                    raise TemplateError(f"the chat template makes more than {MOST_TEXT} characters")
        except TemplateError:
            raise
        except Exception as error:         # whatever the template's code runs into is the template's fault
            raise TemplateError(f"the chat template failed: {first_line(error)}") from None
        finally:
            sys.settrace(before)
        return "".join(parts)

    def enter(self, frame, event, arg):
        """A trace function: lines of the template's own code are counted."""
        return self.line if frame.f_code.co_filename.startswith("<") else None

    def line(self, frame, event, arg):
        self.env.spend(1)
        return self.line


def first_line(error):
    return str(error).partition("\n")[0] or type(error).__name__
