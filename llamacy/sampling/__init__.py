"""From logits to a token: samplers, the random numbers behind them, grammars."""

__all__ = ["Mt19937", "Sampler", "SamplingParams", "json_schema_to_grammar", "parse_grammar", "samplers_from_letters",
           "samplers_from_names"]

WHERE = {
    "Mt19937": "_rng",
    "Sampler": "_sampler",
    "SamplingParams": "params",
    "json_schema_to_grammar": "json_schema",
    "parse_grammar": "_grammar",
    "samplers_from_letters": "params",
    "samplers_from_names": "params",
}


def __getattr__(name):
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # On demand: the flags need params.py alone, and most runs have no grammar.
    found = getattr(__import__(f"{__name__}.{WHERE[name]}", fromlist=[name]), name)
    globals()[name] = found
    return found
