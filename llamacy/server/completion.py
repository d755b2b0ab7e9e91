"""A body -> a task for the engine. All that can be wrong with a request is found here."""

import math
import os

from ..errors import GrammarError
from ..sampling import Mt19937, Sampler, SamplingParams, json_schema_to_grammar
from ..sampling.params import NAMES, RANDOM_SEED
from . import fields as table
from .errors import ApiError
from .jsontext import encode, float32
from .task import Task

LETTERS = {name: letter for letter, name in NAMES.items()}
NO_PROMPT = 'Either "prompt" or "messages" must be provided'
MOST_STOPS = 256


def prompts(body):
    """The prompts of a body, and whether they are several that one request asks for. Errors  ApiError."""
    prompt = body.get("prompt")
    if "prompt" not in body:
        raise ApiError(NO_PROMPT)
    if prompt == []:
        raise ApiError('"prompt" cannot be an empty array')
    several = isinstance(prompt, list) and len(prompt) >= 2 and not any(is_number(item) for item in prompt)
    return (prompt if several else [prompt]), several


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def tokens_of(server, prompt):
    """Ids of a prompt: a string, or an array of strings and ids. Errors  ApiError."""
    vocab = server.vocab
    special = server.engine.adds_bos and not server.engine.system
    if isinstance(prompt, str):
        return vocab.tokenize(prompt.encode(), special, True)
    if not isinstance(prompt, list) or not prompt:
        raise ApiError('"prompt" must be a string, or an array of strings and token ids')
    found = []
    for i, item in enumerate(prompt):
        if isinstance(item, str):
            found += vocab.tokenize(item.encode(), special and i == 0, True)
        else:
            found.append(token_id(server, item))
    return found


def token_id(server, item):
    if not is_number(item) or not math.isfinite(item) or not 0 <= int(item) < server.vocab.n_tokens:
        raise ApiError(f'"prompt" must contain strings and token ids from 0 to {server.vocab.n_tokens - 1} only')
    return int(item)


def make(server, body, prompt, tokens, grammar, want_partials=False):
    """A Task. grammar: of grammar_of. Errors  ApiError: in the order in which the reference finds them."""
    log = server.log
    values = table.read(body, lambda name, kind: wrong_type(log, name, kind, body))
    clamp_predict(server, values)
    params = SamplingParams()
    for name, _, _, _, _, target in table.FIELDS:
        if target:
            setattr(params, target, values[name])
    params.penalty_prompt = penalty_prompt(server, body.get("penalty_prompt"))
    params.logit_bias = biases(server, body.get("logit_bias"), values["ignore_eos"])
    stop = stops(body.get("stop"))
    params.samplers = samplers(body.get("samplers"), params.samplers)
    params.grammar = grammar
    try:
        sampler = Sampler(params, server.vocab)
    except GrammarError:
        raise ApiError("Failed to parse grammar") from None
    seed = params.seed if params.seed != RANDOM_SEED else int.from_bytes(os.urandom(4), "little")
    task = Task(tokens, values, prompt, params, sampler, Mt19937(seed) if params.mirostat else None,
                [word.encode() for word in stop], want_partials)
    task.settings = settings(server, values, params, stop)
    return task


def wrong_type(log, name, kind, body):
    log.warn("json_value", f"Wrong type supplied for parameter '{name}'. Expected '{kind}', using default value.",
             body if len(body) < 64 else None)


def clamp_predict(server, values):
    most = server.config.n_predict
    if most > 0 and values["n_predict"] > most:
        server.log.warn("launch_slot_with_task", "Max tokens to predict exceeds server configuration",
                        {"params.n_predict": values["n_predict"], "slot.n_predict": most})
        values["n_predict"] = most


def grammar_of(body, log):
    """GBNF (bytes) from `grammar` or `json_schema`."""
    schema, text = body.get("json_schema"), body.get("grammar")
    if schema is not None and text is not None:
        raise ApiError('Either "json_schema" or "grammar" can be specified, but not both')
    if "json_schema" in body and "grammar" not in body:
        return schema_grammar(schema, log)
    if text is not None and not isinstance(text, str):
        wrong_type(log, "grammar", "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", body)
        return b""
    return (text or "").encode()


def schema_grammar(schema, log):
    def warn(line):
        log.warn("json_schema", line)
    try:
        return json_schema_to_grammar(encode({} if schema is None else schema), warn)
    except GrammarError as error:
        raise ApiError(f'"json_schema": {error}') from None


def penalty_prompt(server, value):
    if isinstance(value, str):
        return server.vocab.tokenize(value.encode(), False, False)
    if isinstance(value, list):
        return [int(x) for x in value if is_number(x) and math.isfinite(x) and 0 <= int(x) < server.vocab.n_tokens]
    return None


def biases(server, pairs, ignore_eos):
    """{id: what is added to its logit}. What is no pair is skipped."""
    found = {}
    if ignore_eos and 0 <= server.vocab.eos < server.vocab.n_tokens:
        found[server.vocab.eos] = -math.inf
    for pair in pairs if isinstance(pairs, list) else ():
        if not isinstance(pair, list) or len(pair) != 2:
            continue
        token, bias = pair
        if bias is False:
            bias = -math.inf
        elif not is_number(bias):
            continue
        else:
            bias = float32(table.as_float(bias))
        if isinstance(token, str):
            found.update((id, bias) for id in server.vocab.tokenize(token.encode(), False, False))
        elif isinstance(token, int) and not isinstance(token, bool) and 0 <= token < server.vocab.n_tokens:
            found[token] = bias
    return found


def stops(words):
    """Stop words (str). A bare string does not count here."""
    words = words if isinstance(words, list) else []
    if len(words) > MOST_STOPS:
        raise ApiError(f'"stop" has {len(words)} words, expected at most {MOST_STOPS}')
    return [word for word in words if isinstance(word, str)]


def samplers(names, default):
    if not isinstance(names, list):
        return default
    return "".join(LETTERS.get(name, "") for name in names[:64] if isinstance(name, str))


def settings(server, values, params, stop):
    """`generation_settings`, in the reference's order; then the names of older builds."""
    asked = values["n_predict"]
    return {
        "n_ctx": server.engine.slots[0].n_ctx, "n_predict": asked if asked != -1 else server.config.n_predict,
        "model": server.config.alias, "seed": values["seed"], "temperature": values["temperature"],
        "dynatemp_range": values["dynatemp_range"], "dynatemp_exponent": values["dynatemp_exponent"], "top_k": values["top_k"],
        "top_p": values["top_p"], "min_p": values["min_p"], "tfs_z": values["tfs_z"], "typical_p": values["typical_p"],
        "repeat_last_n": values["repeat_last_n"], "repeat_penalty": values["repeat_penalty"],
        "presence_penalty": values["presence_penalty"], "frequency_penalty": values["frequency_penalty"],
        "penalty_prompt_tokens": params.penalty_prompt or [], "use_penalty_prompt_tokens": params.penalty_prompt is not None,
        "mirostat": values["mirostat"], "mirostat_tau": values["mirostat_tau"], "mirostat_eta": values["mirostat_eta"],
        "penalize_nl": values["penalize_nl"], "stop": stop, "n_keep": values["n_keep"], "n_discard": values["n_discard"],
        "ignore_eos": params.logit_bias.get(server.vocab.eos) == -math.inf, "stream": values["stream"],
        "logit_bias": [[id, bias] for id, bias in params.logit_bias.items()], "n_probs": values["n_probs"],
        "min_keep": values["min_keep"], "grammar": params.grammar.decode("utf-8", "replace"),
        "samplers": [NAMES[letter] for letter in params.samplers], "temp": values["temperature"],
    }


def default_settings(server):
    """Those of a request that says nothing."""
    params = SamplingParams()
    return settings(server, table.read({}, lambda name, kind: None), params, [])
