"""Writes a llama-shaped GGUF file of random weights: sizes of real models for benchmarks, no download needed.

    python -m tests.bench random_model OUT.gguf [--type q4_0] [--shape 1.1b]

The blocks are random bytes with sane scales: a kernel takes the same time for them as for trained ones.
"""

import numpy as np

from llamacy.gguf import GGUFWriter
from llamacy.gguf.types import TYPES

SHAPES = {  # dim, layers, heads, heads of K and V, ffn, vocab
    "1.1b": (2048, 22, 32, 4, 5632, 32000),
    "8b": (4096, 32, 32, 8, 14336, 128256),
    "tiny": (256, 2, 4, 2, 768, 512),
    "wide": (1024, 1, 8, 2, 1280, 512),  # the smallest whose rows are not short (LCY_SHORT_ROW)
}
SCALES = {  # byte offsets of f16 scales inside a block; they get a small positive number
    "q4_0": (0,), "q4_1": (0, 2), "q5_0": (0,), "q5_1": (0, 2), "q8_0": (0,), "q2_K": (80, 82), "q3_K": (108,),
    "q4_K": (0, 2), "q5_K": (0, 2), "q6_K": (208,), "iq2_xxs": (0,), "iq2_xs": (0,), "iq2_s": (0,), "iq3_xxs": (0,),
    "iq3_s": (0,), "iq1_s": (0,), "iq4_nl": (0,), "iq4_xs": (0,),
}
NUMBER = {info.name: i for i, info in TYPES.items()}


def random_rows(rng, type, ne):
    """Bytes of a tensor of random weights of about unit variance over the row length."""
    n = int(np.prod(ne))
    if type == "f32":
        return rng.standard_normal(n, dtype=np.float32).tobytes()
    if type in ("f16", "bf16"):
        scaled = rng.standard_normal(n, dtype=np.float32) / np.float32(np.sqrt(ne[0]))
        return scaled.astype(np.float16).tobytes() if type == "f16" else (scaled.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    info = TYPES[NUMBER[type]]
    blocks = rng.integers(0, 256, (n // info.block, info.bytes), dtype=np.uint8)
    scale = np.float16(0.02 / np.sqrt(ne[0])).tobytes()
    for at in SCALES.get(type, ()):
        blocks[:, at:at + 2] = np.frombuffer(scale, np.uint8)
    if type == "iq1_m":  # the scale's nibbles sit on top of four 16-bit words
        blocks[:, 49:56:2] &= 0x0F
    return blocks.tobytes()


def tensors(shape, type):
    """Rows (name, ne, type)."""
    dim, layers, heads, heads_kv, ffn, vocab = SHAPES[shape]
    kv = dim // heads * heads_kv
    yield "token_embd.weight", (dim, vocab), type
    for i in range(layers):
        b = f"blk.{i}."
        yield b + "attn_norm.weight", (dim,), "f32"
        for name, ne in (("attn_q", (dim, dim)), ("attn_k", (dim, kv)), ("attn_v", (dim, kv)), ("attn_output", (dim, dim))):
            yield b + name + ".weight", ne, type
        yield b + "ffn_norm.weight", (dim,), "f32"
        for name, ne in (("ffn_gate", (dim, ffn)), ("ffn_up", (dim, ffn)), ("ffn_down", (ffn, dim))):
            yield b + name + ".weight", ne, type
    yield "output_norm.weight", (dim,), "f32"
    yield "output.weight", (dim, vocab), type


def metadata(shape):
    dim, layers, heads, heads_kv, ffn, vocab = SHAPES[shape]
    yield "general.architecture", "str", "llama"
    yield "general.name", "str", f"random {shape}"
    for key, value in (("context_length", 8192), ("embedding_length", dim), ("block_count", layers),
                       ("feed_forward_length", ffn), ("attention.head_count", heads), ("attention.head_count_kv", heads_kv),
                       ("rope.dimension_count", dim // heads)):
        yield "llama." + key, "u32", value
    yield "llama.attention.layer_norm_rms_epsilon", "f32", 1e-5
    yield "tokenizer.ggml.model", "str", "llama"
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    yield "tokenizer.ggml.tokens", "arr:str", words + [f"w{i}" for i in range(vocab - len(words))]
    yield "tokenizer.ggml.scores", "arr:f32", [-float(i) for i in range(vocab)]
    yield "tokenizer.ggml.token_type", "arr:i32", [2, 3, 3] + [6] * 256 + [1] * (vocab - len(words))
    yield "tokenizer.ggml.bos_token_id", "u32", 1
    yield "tokenizer.ggml.eos_token_id", "u32", 2


def write(path, type="q4_0", shape="1.1b", seed=1):
    rng = np.random.default_rng(seed)
    rows = list(tensors(shape, type))
    with GGUFWriter(path) as writer:
        for key, kind, value in metadata(shape):
            writer.add(key, kind, value)
        for name, ne, kind in rows:
            writer.add_tensor(name, ne, NUMBER[kind])
        for name, ne, kind in rows:
            writer.write(np.ones(ne[0], np.float32).tobytes() if "norm" in name else random_rows(rng, kind, ne))


def main(argv):
    options = {argv[i].lstrip("-"): argv[i + 1] for i in range(2, len(argv) - 1, 2)}
    write(argv[1], options.get("type", "q4_0"), options.get("shape", "1.1b"))
