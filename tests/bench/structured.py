"""What a grammar costs per token: a JSON schema over 128256 tokens against no grammar, one core.

    python -m tests.bench structured [FILE.gguf ...] [--schema FILE] [--tokens 120] [--json]

FILE.gguf: BPE vocabularies, joined until there are 128256 tokens; none: those of ../shared/data/vocab. A token is chosen and
accepted from random logits, so the texts wander through all of the schema. `first`: also reads the grammar and makes the
tables, with the tree of the vocabulary made before. Milliseconds of CPU per token: the median and the longest of the later ones.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from llamacy.gguf import GGUFFile, GGUFWriter
from llamacy.sampling import Sampler, SamplingParams, json_schema_to_grammar
from llamacy.vocab import Vocab

REPO = Path(__file__).resolve().parents[2]
SIZE = 128256
SCHEMA = {
    "type": "object", "required": ["name", "age", "tags", "address", "kind"], "properties": {
        "name": {"type": "string"}, "age": {"type": "integer"}, "email": {"type": "string", "maxLength": 40},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 8},
        "address": {"type": "object", "required": ["street", "zip"], "properties": {
            "street": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
            "since": {"type": "string", "format": "date"}}},
        "kind": {"enum": ["person", "company", None]}, "more": {}}}


def joined(paths, folder):
    """A Vocab with the tokens of several BPE vocabularies, each text once."""
    texts = {}
    for path in paths:
        gguf = GGUFFile(path)
        if gguf.get("tokenizer.ggml.model") == b"gpt2":
            texts.update(dict.fromkeys(bytes(text) for text in gguf.get("tokenizer.ggml.tokens")))
    texts = list(texts)[:SIZE - 1] + [b"<|end|>"]
    path = Path(folder) / "joined.gguf"
    with GGUFWriter(path) as writer:
        for key, kind, value in (
                ("general.architecture", "str", "llama"), ("tokenizer.ggml.model", "str", "gpt2"),
                ("tokenizer.ggml.tokens", "arr:str", texts), ("tokenizer.ggml.token_type", "arr:i32", [1] * (len(texts) - 1) + [3]),
                ("tokenizer.ggml.merges", "arr:str", []), ("tokenizer.ggml.bos_token_id", "u32", len(texts) - 1),
                ("tokenizer.ggml.eos_token_id", "u32", len(texts) - 1)):
            writer.add(key, kind, value)
    return Vocab(GGUFFile(path))


def times(vocab, grammar, n, seed):
    """Milliseconds of CPU of each token of one text; the first has the reading of the grammar in it."""
    rng = np.random.default_rng(seed)
    rows = [rng.standard_normal(vocab.n_tokens, np.float32) * 3 for _ in range(8)]
    found, start = [], time.thread_time()
    sampler = Sampler(SamplingParams(temp=0.8, top_k=40, grammar=grammar, seed=seed), vocab)
    for i in range(n):
        token = sampler.sample(rows[i % 8])
        sampler.accept(token, True)
        found.append(1000 * (time.thread_time() - start))
        if vocab.is_eog(token):
            break
        start = time.thread_time()
    return found


def measure(vocab, grammar, n):
    runs = [times(vocab, grammar, n, seed) for seed in range(12)]
    later = sorted(ms for run in runs for ms in run[1:])
    return {"first": runs[0][0], "first again": min(run[0] for run in runs[1:]), "median": later[len(later) // 2],
            "mean": sum(later) / len(later), "longest": later[-1], "tokens": len(later)}


def main(argv):
    words = [word for word in argv[1:] if word != "--json"]
    options = {words[i][2:]: words[i + 1] for i, word in enumerate(words) if word.startswith("--")}
    files = [word for i, word in enumerate(words) if not word.startswith("--") and not words[i - 1].startswith("--")]
    schema = json.loads(Path(options["schema"]).read_text()) if "schema" in options else SCHEMA
    grammar = json_schema_to_grammar(json.dumps(schema).encode(), print)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        vocab = joined(files or sorted((REPO.parent / "shared/data/vocab").glob("*.gguf")), folder)
        n = int(options.get("tokens", 120))
        measure(vocab, b'root ::= "a"', 2)                         # makes the tree of the vocabulary
        print(f"{vocab.n_tokens} tokens, made in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        found = {"no grammar": measure(vocab, b"", n), "JSON schema": measure(vocab, grammar, n)}
    found["costs per token, ms"] = found["JSON schema"]["mean"] - found["no grammar"]["mean"]
    if "--json" in argv:
        print(json.dumps(found))
        return 0
    print(f"{'':<14}" + "".join(f"{name:>14}" for name in found["no grammar"]))
    for name in ("no grammar", "JSON schema"):
        print(f"{name:<14}" + "".join(f"{value:14.3f}" for value in found[name].values()))
    print(f"the schema costs {found['costs per token, ms']:.3f} ms per token")
    return 0
