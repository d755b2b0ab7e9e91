"""`./main --verbose-prompt` shows the ids of the reference, for a vocabulary of each kind in a small random model."""

import json
import re

import numpy as np
import pytest

from llamacy.gguf import GGUFFile, GGUFWriter

TEXTS = ("Hello, world!", "ied 4 ½ months", "3333333", "I'm you're WE'LL I'VE", "日本語のテキスト。漢字かな交じり", "mixed123abc456")
VOCABULARIES = {"ggml-vocab-llama-spm": "SPM", "ggml-vocab-gpt-2": "BPE", "ggml-vocab-deepseek-coder": "BPE",
                "ggml-vocab-bert-bge": "WPM"}


def model_with(vocabulary, path):
    """A llama of 32 channels and one layer, all weights zero, that speaks this vocabulary."""
    source = GGUFFile(vocabulary)
    n = source.count("tokenizer.ggml.tokens")
    shapes = {"token_embd": (32, n), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,),
              **{f"blk.0.attn_{name}": (32, 32) for name in ("q", "k", "v", "output")},
              **{f"blk.0.ffn_{name}": (32, 32) for name in ("gate", "up", "down")}}
    with GGUFWriter(path) as writer:
        writer.add("general.architecture", "str", "llama")
        for key in ("embedding_length", "feed_forward_length"):
            writer.add("llama." + key, "u32", 32)
        for key, value in (("context_length", 256), ("block_count", 1), ("attention.head_count", 1)):
            writer.add("llama." + key, "u32", value)
        writer.add("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)
        for key in source.keys():
            if key.startswith("tokenizer."):
                writer.copy(source, key)
        for name, ne in shapes.items():
            writer.add_tensor(name + ".weight", ne, 0)
        for ne in shapes.values():
            writer.write(np.zeros(ne, np.float32).tobytes())
    return path


@pytest.mark.parametrize("name, kind", VOCABULARIES.items())
def test_ids(shared, tmp_path, run_main, name, kind):
    golden = json.loads((shared / "golden" / "tokens.json").read_text())
    model = model_with(shared / "data" / "vocab" / f"{name}.gguf", tmp_path / "m.gguf")
    for text in TEXTS:
        done = run_main("-m", model, "-p", text, "--verbose-prompt", "-n", "1", "-t", "1")
        assert done.returncode == 0 and f"vocab type       = {kind}".encode() in done.stderr
        block = done.stderr.partition(b"number of tokens in prompt")[2].partition(b"\n\n")[0]
        ids = [int(line) for line in re.findall(rb"^ *(\d+) -> '", block, re.M)]
        assert ids == golden["ids"][f"{name}.gguf"][golden["texts"].index(text)], text
