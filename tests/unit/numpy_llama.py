"""A llama in numpy, straight from the formulas, in double: what the engine is held against where there is no recorded run.
Also writes small random models as GGUF files."""

import numpy as np

from llamacy.gguf import GGUFWriter

SIZES = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_head_kv": 2, "n_ff": 96, "n_vocab": 300, "n_expert": 0, "n_used": 0}


def random_weights(sizes, seed=1, bias=False):
    """{name: array (rows, k) or (slices, rows, k)} float32."""
    rng = np.random.default_rng(seed)
    e, f, v, x = sizes["n_embd"], sizes["n_ff"], sizes["n_vocab"], sizes["n_expert"]
    kv = e // sizes["n_head"] * sizes["n_head_kv"]

    def matrix(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    w = {"token_embd.weight": matrix(v, e), "output_norm.weight": 1 + matrix(e), "output.weight": matrix(v, e)}
    for i in range(sizes["n_layer"]):
        b = f"blk.{i}."
        w[b + "attn_norm.weight"], w[b + "ffn_norm.weight"] = 1 + matrix(e), 1 + matrix(e)
        for name, rows in (("q", e), ("k", kv), ("v", kv), ("output", e)):
            w[b + f"attn_{name}.weight"] = matrix(rows, e)
            if bias:
                w[b + f"attn_{name}.bias"] = matrix(rows)
        if x:
            w[b + "ffn_gate_inp.weight"] = matrix(x, e)
        for name, shape in (("gate", (f, e)), ("up", (f, e)), ("down", (e, f))):
            w[b + f"ffn_{name}{'_exps' if x else ''}.weight"] = matrix(x, *shape) if x else matrix(*shape)
    return w


def write_model(path, sizes, weights, extra=()):
    """extra: rows (key, kind, value)."""
    n = sizes["n_vocab"]
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + [f"w{i}" for i in range(n - 259)]
    with GGUFWriter(path) as writer:
        writer.add("general.architecture", "str", "llama")
        for key, name in (("embedding_length", "n_embd"), ("block_count", "n_layer"), ("feed_forward_length", "n_ff"),
                          ("attention.head_count", "n_head"), ("attention.head_count_kv", "n_head_kv"),
                          ("expert_count", "n_expert"), ("expert_used_count", "n_used")):
            writer.add("llama." + key, "u32", sizes[name])
        writer.add("llama.context_length", "u32", 512)
        writer.add("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)
        for key, kind, value in extra:
            writer.add(key, kind, value)
        writer.add("tokenizer.ggml.model", "str", "llama")
        writer.add("tokenizer.ggml.tokens", "arr:str", words)
        writer.add("tokenizer.ggml.scores", "arr:f32", [0.0] * n)
        writer.add("tokenizer.ggml.token_type", "arr:i32", [2, 3, 3] + [6] * 256 + [1] * (n - 259))
        for name, data in weights.items():
            writer.add_tensor(name, tuple(reversed(data.shape)), 0)
        for data in weights.values():
            writer.write(data.tobytes())
    return path


def rms_norm(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w


def rope(x, positions, base=10000.0, angles=lambda theta: (theta, 1.0), factors=None):
    """x (n, heads, d), neighbours paired. `angles`: what scaling makes of an angle, and a magnitude."""
    d = x.shape[-1]
    theta = positions[:, None] * base ** (-np.arange(0, d, 2) / d) / (1 if factors is None else factors)
    angle, magnitude = angles(theta)
    c, s = (np.cos(angle) * magnitude)[:, None], (np.sin(angle) * magnitude)[:, None]
    out = np.empty_like(x)
    out[..., 0::2], out[..., 1::2] = x[..., 0::2] * c - x[..., 1::2] * s, x[..., 0::2] * s + x[..., 1::2] * c
    return out


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def silu(x):
    return x / (1 + np.exp(-x))


def feed_forward(h, w, b, used):
    if b + "ffn_gate_inp.weight" not in w:
        return (silu(h @ w[b + "ffn_gate.weight"].T) * (h @ w[b + "ffn_up.weight"].T)) @ w[b + "ffn_down.weight"].T
    probabilities = softmax(h @ w[b + "ffn_gate_inp.weight"].T)
    out = np.zeros_like(h)
    for t, p in enumerate(probabilities):
        best = np.argsort(-p)[:used]
        for x in best:
            g, u, d = (w[b + f"ffn_{name}_exps.weight"][x] for name in ("gate", "up", "down"))
            out[t] += p[x] / p[best].sum() * (d @ (silu(g @ h[t]) * (u @ h[t])))
    return out


def logits(sizes, weights, tokens, **rotation):
    """(n, n_vocab) of one causal pass."""
    w = {name: data.astype(np.float64) for name, data in weights.items()}
    n, heads, share = len(tokens), sizes["n_head"], sizes["n_head"] // sizes["n_head_kv"]
    positions, d = np.arange(n), sizes["n_embd"] // heads
    x = w["token_embd.weight"][tokens]
    for i in range(sizes["n_layer"]):
        b = f"blk.{i}."
        h = rms_norm(x, w[b + "attn_norm.weight"])
        q, k, v = (h @ w[b + f"attn_{m}.weight"].T + w.get(b + f"attn_{m}.bias", 0) for m in "qkv")
        q, k = (rope(y.reshape(n, -1, d), positions, **rotation) for y in (q, k))
        k, v = np.repeat(k, share, 1), np.repeat(v.reshape(n, -1, d), share, 1)
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(d) + np.triu(np.full((n, n), -np.inf), 1)
        a = np.einsum("hij,jhd->ihd", softmax(scores), v).reshape(n, -1)
        x = x + a @ w[b + "attn_output.weight"].T + w.get(b + "attn_output.bias", 0)
        x = x + feed_forward(rms_norm(x, w[b + "ffn_norm.weight"]), w, b, sizes["n_used"])
    return rms_norm(x, w["output_norm.weight"]) @ w["output.weight"].T
