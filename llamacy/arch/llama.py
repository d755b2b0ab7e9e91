"""llama: Llama 1 to 3, Mistral, Mixtral, Yi, TinyLlama, CodeLlama, SOLAR, DeepSeek-LLM and many more."""


def tensors(hp):
    """Rows (name, shape innermost first, required) of the file."""
    e, f, v, kv_k, kv_v, x = hp.n_embd, hp.n_ff, hp.n_vocab, hp.n_embd_k_gqa, hp.n_embd_v_gqa, hp.n_expert
    q = hp.n_head * hp.n_embd_head_k
    yield "token_embd.weight", (e, v), True
    yield "output_norm.weight", (e,), True
    yield "output.weight", (e, v), False
    yield "rope_freqs.weight", (hp.n_rot // 2,), False
    for i in range(hp.n_layer):
        b = f"blk.{i}."
        yield b + "attn_norm.weight", (e,), True
        for name, rows in (("q", q), ("k", kv_k), ("v", kv_v)):
            yield b + f"attn_{name}.weight", (e, rows), True
            yield b + f"attn_{name}.bias", (rows,), False
        yield b + "attn_output.weight", (hp.n_head * hp.n_embd_head_v, e), True
        yield b + "attn_output.bias", (e,), False
        yield b + "ffn_norm.weight", (e,), True
        if x:
            yield b + "ffn_gate_inp.weight", (e, x), True
            for name, shape in (("gate", (e, f, x)), ("down", (f, e, x)), ("up", (e, f, x))):
                yield b + f"ffn_{name}_exps.weight", shape, True
        else:
            for name, shape in (("gate", (e, f)), ("down", (f, e)), ("up", (e, f))):
                yield b + f"ffn_{name}.weight", shape, True
                yield b + f"ffn_{name}.bias", shape[1:], False


def feed_forward(m, p, h, b):
    if m.hp.n_expert:
        return p.experts(h, m[b + "ffn_gate_inp"], m[b + "ffn_gate_exps"], m[b + "ffn_up_exps"], m[b + "ffn_down_exps"])
    gate, up = p.matmul(h, m[b + "ffn_gate"], m[b + "ffn_up"], bias=(m.bias(b + "ffn_gate"), m.bias(b + "ffn_up")))
    return p.matmul(p.silu_mul(gate, up), m[b + "ffn_down"], bias=(m.bias(b + "ffn_down"),))


def build(m, p):
    """m: weights by name; p: the plan builder."""
    hp = m.hp
    x = p.embed(m["token_embd"])
    for layer in range(hp.n_layer):
        b = f"blk.{layer}."
        h = p.rms_norm(x, m[b + "attn_norm"], hp.f_norm_rms_eps)
        q, k, v = p.matmul(h, m[b + "attn_q"], m[b + "attn_k"], m[b + "attn_v"],
                           bias=(m.bias(b + "attn_q"), m.bias(b + "attn_k"), m.bias(b + "attn_v")))
        q, k = p.rope(q, k, layer)
        a = p.attention(q, k, v, layer)
        if layer == hp.n_layer - 1:
            a, x = p.select(a, x)
        x = p.add(x, p.matmul(a, m[b + "attn_output"], bias=(m.bias(b + "attn_output"),)))
        h = p.rms_norm(x, m[b + "ffn_norm"], hp.f_norm_rms_eps)
        x = p.control(p.add(x, feed_forward(m, p, h, b)), layer)
    h = p.rms_norm(x, m["output_norm"], hp.f_norm_rms_eps)
    p.logits(p.matmul(h, m.get("output") or m["token_embd"]))
