"""A grammar that an answer must follow."""

import json
import os
from typing import Any

from ..sampling import json_schema_to_grammar, parse_grammar


class LlamaGrammar:
    """A GBNF grammar that has been checked. `text`: the grammar (str).

    Errors  GrammarError: it cannot be used; the message says where.
    """

    def __init__(self, text: str) -> None:
        parse_grammar(text.encode())
        self.text = text

    @classmethod
    def from_string(cls, grammar: str, verbose: bool = True) -> "LlamaGrammar":
        return cls(grammar)

    @classmethod
    def from_file(cls, file: "str | os.PathLike[str]", verbose: bool = True) -> "LlamaGrammar":
        with open(file, encoding="utf-8") as source:
            return cls(source.read())

    @classmethod
    def from_json_schema(cls, json_schema: "str | dict[str, Any]", verbose: bool = True) -> "LlamaGrammar":
        text = json_schema if isinstance(json_schema, str) else json.dumps(json_schema)
        return cls(json_schema_to_grammar(text).decode())

    def reset(self) -> None:
        """Nothing to do: each answer starts the grammar anew."""

    def __repr__(self) -> str:
        return f"LlamaGrammar({self.text!r})"
