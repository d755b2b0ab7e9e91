"""Requests that are wrong in some way: for the tests, and for `python -m tests.bench mutate`."""

import json

POSTS = ("/completion", "/completions", "/v1/completions", "/chat/completions", "/v1/chat/completions", "/infill", "/tokenize",
         "/detokenize", "/embedding", "/embeddings", "/v1/embeddings", "/slots/0?action=save", "/slots/0?action=restore",
         "/slots/0?action=erase")
GETS = ("/health", "/health?include_slots&fail_on_no_slot", "/slots", "/metrics", "/props", "/v1/models", "/", "/page/main.js")
FIELDS = """prompt content tokens messages input stream stop n_probs grammar json_schema response_format tools tool_choice seed
    logit_bias samplers temperature top_k top_p min_p tfs_z typical_p min_keep mirostat mirostat_tau mirostat_eta penalty_prompt
    penalize_nl id_slot cache_prompt system_prompt n_keep n_discard n_predict input_prefix input_suffix filename model logprobs
    top_logprobs n max_tokens max_completion_tokens repeat_last_n repeat_penalty presence_penalty frequency_penalty dynatemp_range
    dynatemp_exponent ignore_eos stream_options echo image_data encoding_format __proto__ temp slot_id""".split()
TEMPLATE = {"prompt": "a", "content": "a", "input": "a", "tokens": [1], "filename": "f", "n_predict": 1, "max_tokens": 1,
            "messages": [{"role": "user", "content": "a"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
VALUES = (None, True, False, -1, 0, 1, 2, 1e308, -1e308, 1e-320, 10**25, -10**25, 2**31, 2**32, 0.5, "", "é\0\n", "\ufffe", "a" * 300,
          [], {}, [[]], {"a": [1]}, [None, "x"], -0.0, [["a", 1]], [[5, False], [[], 1]], ["top_k", 5, None, "x"], [1, "a", 2.5],
          "root ::= [a-z]+", "root ::= root", "root ::= (((", 'root ::= "a"{999999}', {"type": "object"}, {"type": "json_object"},
          {"type": "json_object", "schema": {"type": "integer"}}, {"type": "json_schema", "json_schema": {"schema": {"enum": [1]}}},
          {"$ref": "#/a"}, {"$ref": "#"}, {"pattern": "^(a"}, {"items": 5, "type": "array"}, {"enum": []}, {"oneOf": [{"oneOf": []}]},
          {"properties": {"a": {"$ref": "#/properties/a"}}}, [TOOL], [TOOL, 5], [{"type": "function"}], "required", "auto",
          {"type": "function", "function": {"name": "f"}}, [{"role": "user"}], [{"role": 5, "content": [{"type": "text", "text": 5}]}],
          [{"role": "assistant", "tool_calls": [{"function": {"name": 1, "arguments": "{"}}], "content": None}],
          [{"role": "system", "content": "s"}, {"role": "tool", "content": "t", "tool_call_id": 7}], {"prompt": "s"},
          {"prompt": 5, "anti_prompt": "x"}, {"include_usage": True}, {"1": 5, "x": 2}, "../x", "a/b", "é" * 200)
TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a" * 200, "")


def mutated(rng, template=TEMPLATE):
    """A body (bytes) with something wrong in it."""
    body = dict(template)
    for _ in range(rng.randint(1, 5)):
        name = rng.choice(FIELDS)
        if rng.random() < 0.1:
            body.pop(name, None)
        else:
            body[name] = nested(rng, rng.choice(VALUES))
    data = json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.25:
        data = damaged(rng, data)
    return data


def nested(rng, value):
    """Sometimes a value within others."""
    while rng.random() < 0.12:
        value = [value] * rng.randint(1, 3) if rng.random() < 0.5 else {rng.choice(FIELDS): value}
    return value


def damaged(rng, data):
    """Bytes with a part lost, doubled, replaced or turned over."""
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[end:]
    if kind == 2:
        return data[:end] + data[at:]
    if kind == 3:
        return data[:at] + bytes(rng.randrange(256) for _ in range(rng.randint(1, 4))) + data[at:]
    return data[:at] + rng.choice((b"[", b"{", b'"', b"\\", b"\\ud800", b"NaN", b"1e999", b"//")) * rng.randint(1, 3) + data[at:]


def request(rng):
    """(method, path, headers, body) of a request."""
    headers = {"Content-Type": rng.choice(TYPES) if rng.random() < 0.2 else "application/json"}
    if rng.random() < 0.1:
        headers[rng.choice(("Origin", "Authorization", "Range", "If-None-Match", "Accept", "X-A"))] = rng.choice(
            ("null", "http://[", "bytes=5-1", "bytes=-", '"', "Bearer", "a" * 3000, "é", "http://localhost"))
    if rng.random() < 0.1:
        return rng.choice(("GET", "HEAD", "OPTIONS", "DELETE", "PUT")), rng.choice(GETS + POSTS), headers, b""
    path = rng.choice(POSTS)
    if rng.random() < 0.03:
        path += rng.choice(("/", "%00", "?%ff=%", "?action=save&action=erase", "#x", "//", "?" + "a" * 3000))
    return "POST", path, headers, mutated(rng)
