"""A small random model of every class that convert-hf-to-gguf knows: config, tensors, and what has to come out.

Each function takes `t`, a function that makes a random matrix, and returns (config, {name: array}, {name in the GGUF
file: array}, keys to be found). The expected arrays are made with plain loops over heads, not with the reshapes of the
converter.
"""

import numpy as np

V, E, F, H, KV, D, L, X = (
    272,
    64,
    96,
    4,
    2,
    16,
    2,
    3,
)  # vocabulary, width, feed forward, heads, of k and v, head, layers, experts
USUAL = {"vocab_size": V, "hidden_size": E, "intermediate_size": F, "num_hidden_layers": L, "num_attention_heads": H,
         "num_key_value_heads": KV, "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 5000.0}
OLDER = {"vocab_size": V, "n_embd": E, "n_layer": L, "n_head": H, "n_positions": 128, "layer_norm_epsilon": 1e-5}


def pairs(matrix, heads):
    """Rows from the order of halves to that of pairs."""
    d = len(matrix) // heads
    return np.array(
        [matrix[head * d + half * (d // 2) + j] for head in range(heads) for j in range(d // 2) for half in range(2)]
    )


def build(t, rows):
    """rows: (name, name in the file, shape); N: the layer's number. ({name: array}, {name in the file: array})"""
    tensors, expected = {}, {}
    for name, target, shape in rows:
        for i in range(L) if ".N." in name else [0]:
            array = tensors[name.replace(".N.", f".{i}.")] = t(shape)
            if target:
                expected[target.replace(".N.", f".{i}.")] = array
    return tensors, expected


def llama_rows(norms=True, bias=()):
    yield "model.embed_tokens.weight", "token_embd.weight", (V, E)
    for name, target, shape in (
        ("self_attn.q_proj", "attn_q", (E, E)),
        ("self_attn.k_proj", "attn_k", (KV * D, E)),
        ("self_attn.v_proj", "attn_v", (KV * D, E)),
        ("self_attn.o_proj", "attn_output", (E, E)),
        ("mlp.gate_proj", "ffn_gate", (F, E)),
        ("mlp.up_proj", "ffn_up", (F, E)),
        ("mlp.down_proj", "ffn_down", (E, F)),
    ):
        yield f"model.layers.N.{name}.weight", f"blk.N.{target}.weight", shape
        if target in bias:
            yield f"model.layers.N.{name}.bias", f"blk.N.{target}.bias", shape[:1]
    if norms:
        yield "model.layers.N.input_layernorm.weight", "blk.N.attn_norm.weight", (E,)
        yield "model.layers.N.post_attention_layernorm.weight", "blk.N.ffn_norm.weight", (E,)
        yield "model.norm.weight", "output_norm.weight", (E,)
    yield "model.layers.N.self_attn.rotary_emb.inv_freq", None, (D // 2,)


def with_head(t, rows):
    return build(t, [*rows, ("lm_head.weight", "output.weight", (V, E))])


def permute(expected, n_kv=KV):
    for i in range(L):
        expected[f"blk.{i}.attn_q.weight"] = pairs(expected[f"blk.{i}.attn_q.weight"], H)
        expected[f"blk.{i}.attn_k.weight"] = pairs(expected[f"blk.{i}.attn_k.weight"], n_kv)


def llama(t):
    tensors, expected = with_head(t, llama_rows(bias=("attn_q",)))
    permute(expected)
    keys = {
        "general.name": "model",
        "llama.block_count": L,
        "llama.rope.dimension_count": D,
        "llama.rope.freq_base": 5000.0,
        "llama.vocab_size": V,
        "general.file_type": 1,
        "llama.rope.scaling.type": "linear",
        "llama.rope.scaling.factor": 2.0,
    }
    return USUAL | {"rope_scaling": {"type": "linear", "factor": 2.0}}, tensors, expected, keys


def llama_3_1(t):
    tensors, expected = with_head(t, llama_rows())
    permute(expected)
    expected["rope_freqs.weight"] = np.array([1, 1, 1, 1, 1, 1, 8, 8], np.float32)
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 1.001,
        "original_max_position_embeddings": 16000,
    }
    return (
        USUAL | {"rope_theta": 50000.0, "rope_scaling": scaling},
        tensors,
        expected,
        {"llama.rope.scaling.type": None},
    )


def mixtral(t):
    rows = [row for row in llama_rows() if ".mlp." not in row[0]] + [
        ("model.layers.N.block_sparse_moe.gate.weight", "blk.N.ffn_gate_inp.weight", (X, E))
    ]
    tensors, expected = with_head(t, rows)
    permute(expected)
    for i in range(L):
        for w, target, shape in ((3, "up", (F, E)), (1, "gate", (F, E)), (2, "down", (E, F))):
            parts = [t(shape) for _ in range(X)]
            tensors |= {
                f"model.layers.{i}.block_sparse_moe.experts.{e}.w{w}.weight": part for e, part in enumerate(parts)
            }
            expected[f"blk.{i}.ffn_{target}_exps.weight"] = np.stack(parts)
    return (
        USUAL | {"num_local_experts": X, "num_experts_per_tok": 2},
        tensors,
        expected,
        {"llama.expert_count": X, "llama.expert_used_count": 2},
    )


def baichuan(t):
    rows = [row for row in llama_rows() if not row[0].endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight"))]
    tensors, expected = with_head(t, rows)
    for i in range(L):
        q, k, v = t((E, E)), t((E, E)), t((E, E))
        tensors[f"model.layers.{i}.self_attn.W_pack.weight"] = np.concatenate([q, k, v])
        expected |= {
            f"blk.{i}.attn_q.weight": pairs(q, H),
            f"blk.{i}.attn_k.weight": pairs(k, H),
            f"blk.{i}.attn_v.weight": v,
        }
    keys = {"baichuan.tensor_data_layout": "Meta AI original pth", "baichuan.attention.head_count_kv": H,
            "general.source.huggingface.repository": "x/y", "general.file_type": None}
    return USUAL | {"num_key_value_heads": None, "_name_or_path": "x/y"}, tensors, expected, keys


def xverse(t):
    tensors, expected = with_head(t, llama_rows())
    permute(expected)
    return USUAL, tensors, expected, {"xverse.context_length": 128}


def orion(t):
    tensors, expected = with_head(t, llama_rows())
    return USUAL, tensors, expected, {"orion.attention.layer_norm_epsilon": 1e-6, "general.file_type": 1}


def minicpm(t):
    tensors, expected = build(t, llama_rows())
    permute(expected)
    return USUAL, tensors, expected, {"general.name": "MiniCPM"}


def internlm2(t):
    rows = [
        row
        for row in llama_rows()
        if "self_attn" not in row[0] and "layernorm" not in row[0] and ".mlp." not in row[0] and "embed" not in row[0]
    ]
    rows += [
        ("model.tok_embeddings.weight", "token_embd.weight", (V, E)),
        ("model.layers.N.attention.wo.weight", "blk.N.attn_output.weight", (E, E)),
        ("model.layers.N.feed_forward.w1.weight", "blk.N.ffn_gate.weight", (F, E)),
        ("model.layers.N.attention_norm.weight", "blk.N.attn_norm.weight", (E,)),
        ("output.weight", "output.weight", (V, E)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        rows = [[t((D, E)) for _ in range(H // KV + 2)] for _ in range(KV)]
        tensors[f"model.layers.{i}.attention.wqkv.weight"] = np.concatenate([head for group in rows for head in group])
        q = np.concatenate([head for group in rows for head in group[:-2]])
        expected[f"blk.{i}.attn_q.weight"] = pairs(q, H)
        expected[f"blk.{i}.attn_k.weight"] = pairs(np.concatenate([group[-2] for group in rows]), KV)
        expected[f"blk.{i}.attn_v.weight"] = np.concatenate([group[-1] for group in rows])
    return USUAL, tensors, expected, {"internlm2.rope.freq_base": 5000.0, "tokenizer.ggml.add_space_prefix": True}


def stablelm(t):
    rows = [
        *llama_rows(bias=("attn_q", "attn_k", "attn_v")),
        ("model.layers.N.input_layernorm.bias", "blk.N.attn_norm.bias", (E,)),
    ]
    tensors, expected = with_head(t, rows)
    for i in range(L):
        for which, n in (("q", H), ("k", KV)):
            parts = [t((D,)) for _ in range(n)]
            tensors |= {
                f"model.layers.{i}.self_attn.{which}_layernorm.norms.{e}.weight": part for e, part in enumerate(parts)
            }
            expected[f"blk.{i}.attn_{which}_norm.weight"] = np.stack(parts)
    keys = {
        "stablelm.rope.dimension_count": 4,
        "stablelm.use_parallel_residual": True,
        "stablelm.attention.layer_norm_epsilon": 1e-5,
    }
    return USUAL | {"partial_rotary_factor": 0.25, "layer_norm_eps": 1e-5}, tensors, expected, keys


def command_r(t):
    tensors, expected = build(t, [row for row in llama_rows() if "post_attention" not in row[0]])
    keys = {"command-r.context_length": 777, "command-r.logit_scale": 0.0625, "command-r.rope.scaling.type": "none"}
    return USUAL | {"model_max_length": 777, "logit_scale": 0.0625, "layer_norm_eps": 1e-5}, tensors, expected, keys


def olmo(t):
    tensors, expected = with_head(t, llama_rows(norms=False))
    permute(expected)
    return (
        USUAL | {"clip_qkv": 8.0},
        tensors,
        expected,
        {"olmo.attention.clamp_kqv": 8.0, "olmo.attention.layer_norm_epsilon": 1e-5},
    )


def plamo(t):
    rows = (
        ("model.embed_tokens.weight", "token_embd.weight", (V, 320)),
        ("model.layers.layers.N.norm.weight", "blk.N.attn_norm.weight", (320,)),
        ("lm_head.weight", "output.weight", (V, 320)),
    )
    tensors, expected = build(t, rows)
    q, o = t((320, 320)), t((320, 320))
    tensors |= {"model.layers.layers.0.self_attn.q_proj.weight": q, "model.layers.layers.0.self_attn.o_proj.weight": o}
    order = [(shared * 5 + group) * 8 + i for group in range(5) for shared in range(8) for i in range(8)]
    expected |= {"blk.0.attn_q.weight": q[order], "blk.0.attn_output.weight": o[:, order]}
    return (
        USUAL | {"hidden_size": 320, "num_attention_heads": 40},
        tensors,
        expected,
        {"plamo.attention.head_count_kv": 5, "plamo.context_length": 4096},
    )


def grok(t):
    base = "transformer.decoder_layer.N."
    rows = [
        ("transformer.in_out_embed.weight", "token_embd.weight", (V, E)),
        ("transformer.rms_norm.weight", "output_norm.weight", (E,)),
        (base + "rms_norm.weight", "blk.N.attn_norm.weight", (E,)),
        (base + "rms_norm_1.weight", "blk.N.attn_output_norm.weight", (E,)),
        (base + "rms_norm_2.weight", "blk.N.ffn_norm.weight", (E,)),
        (base + "rms_norm_3.weight", "blk.N.layer_output_norm.weight", (E,)),
        (base + "router.weight", "blk.N.ffn_gate_inp.weight", (X, E)),
        (base + "multi_head_attention.query.weight", "blk.N.attn_q.weight", (E, E)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        for name, target, shape in (
            ("linear", "gate", (F, E)),
            ("linear_1", "down", (E, F)),
            ("linear_v", "up", (F, E)),
        ):
            parts = [t(shape) for _ in range(X)]
            tensors |= {f"transformer.decoder_layer.{i}.moe.{e}.{name}.weight": part for e, part in enumerate(parts)}
            expected[f"blk.{i}.ffn_{target}_exps.weight"] = np.stack(parts)
    return (
        USUAL | {"num_local_experts": X, "num_experts_per_tok": 2},
        tensors,
        expected,
        {"general.name": "Grok", "grok.expert_count": X},
    )


def dbrx(t):
    base = "transformer.blocks.N."
    rows = [
        ("transformer.wte.weight", "token_embd.weight", (V, E)),
        (base + "norm_attn_norm.norm_1.weight", "blk.N.attn_norm.weight", (E,)),
        (base + "norm_attn_norm.attn.Wqkv.weight", "blk.N.attn_qkv.weight", (E + 2 * KV * D, E)),
        (base + "ffn.router.layer.weight", "blk.N.ffn_gate_inp.weight", (X, E)),
        ("lm_head.weight", "output.weight", (V, E)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        for name, target in (("w1", "gate"), ("v1", "up"), ("w2", "down")):
            parts = [t((F, E)) for _ in range(X)]
            tensors[f"transformer.blocks.{i}.ffn.experts.mlp.{name}"] = np.concatenate(parts)
            expected[f"blk.{i}.ffn_{target}_exps.weight"] = np.stack(
                [part.T if name == "w2" else part for part in parts]
            )
    config = {
        "vocab_size": V,
        "d_model": E,
        "n_layers": L,
        "n_heads": H,
        "max_seq_len": 128,
        "model_type": "dbrx",
        "attn_config": {"kv_n_heads": KV, "rope_theta": 5e5, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": F, "moe_num_experts": X, "moe_top_k": 2},
    }
    keys = {"general.name": "dbrx", "dbrx.expert_count": X, "dbrx.attention.clamp_kqv": 8.0, "general.file_type": 1}
    return config, tensors, expected, keys


def qwen(t):
    base = "transformer.h.N."
    rows = [
        ("transformer.wte.weight", "token_embd.weight", (V, E)),
        (base + "ln_1.weight", "blk.N.attn_norm.weight", (E,)),
        (base + "attn.c_attn.weight", "blk.N.attn_qkv.weight", (3 * E, E)),
        (base + "attn.c_attn.bias", "blk.N.attn_qkv.bias", (3 * E,)),
        (base + "attn.c_proj.weight", "blk.N.attn_output.weight", (E, E)),
        (base + "mlp.w1.weight", "blk.N.ffn_up.weight", (F, E)),
        (base + "mlp.w2.weight", "blk.N.ffn_gate.weight", (F, E)),
        (base + "mlp.c_proj.weight", "blk.N.ffn_down.weight", (E, F)),
        ("transformer.ln_f.weight", "output_norm.weight", (E,)),
        ("lm_head.weight", "output.weight", (V, E)),
    ]
    config = USUAL | {"rotary_emb_base": 1e4, "layer_norm_epsilon": 1e-6}
    return (config, *build(t, rows), {"qwen.rope.freq_base": 1e4, "tokenizer.ggml.pre": "qwen2"})


def qwen2(t):
    return (
        USUAL,
        *with_head(t, llama_rows(bias=("attn_q", "attn_k", "attn_v"))),
        {"qwen2.attention.head_count_kv": KV},
    )


def qwen2moe(t):
    rows = [row for row in llama_rows() if ".mlp." not in row[0]]
    rows += [("model.layers.N.mlp.gate.weight", "blk.N.ffn_gate_inp.weight", (X, E)),
             ("model.layers.N.mlp.shared_expert_gate.weight", "blk.N.ffn_gate_inp_shexp.weight", (1, E)),
             ("model.layers.N.mlp.shared_expert.up_proj.weight", "blk.N.ffn_up_shexp.weight", (F, E))]
    tensors, expected = with_head(t, rows)
    for i in range(L):
        expected[f"blk.{i}.ffn_gate_inp_shexp.weight"] = expected[f"blk.{i}.ffn_gate_inp_shexp.weight"][0]
        for name, shape in (("up", (F, E)), ("gate", (F, E)), ("down", (E, F))):
            parts = [t(shape) for _ in range(X)]
            tensors |= {f"model.layers.{i}.mlp.experts.{e}.{name}_proj.weight": part for e, part in enumerate(parts)}
            expected[f"blk.{i}.ffn_{name}_exps.weight"] = np.stack(parts)
    return (
        USUAL | {"num_experts": X, "num_experts_per_tok": 2},
        tensors,
        expected,
        {"qwen2moe.expert_count": X, "qwen2moe.expert_used_count": 2},
    )


def gptneox(t):
    base = "gpt_neox.layers.N."
    rows = [
        ("gpt_neox.embed_in.weight", "token_embd.weight", (V, E)),
        (base + "input_layernorm.weight", "blk.N.attn_norm.weight", (E,)),
        (base + "attention.query_key_value.weight", "blk.N.attn_qkv.weight", (3 * E, E)),
        (base + "attention.bias", None, (1, 1, 8, 8)),
        (base + "attention.masked_bias", None, (1,)),
        (base + "attention.rotary_emb.inv_freq", None, (4,)),
        (base + "attention.dense.bias", "blk.N.attn_output.bias", (E,)),
        (base + "mlp.dense_h_to_4h.weight", "blk.N.ffn_up.weight", (F, E)),
        ("gpt_neox.final_layer_norm.bias", "output_norm.bias", (E,)),
        ("embed_out.weight", "output.weight", (V, E)),
    ]
    keys = {
        "gptneox.rope.dimension_count": 4,
        "gptneox.use_parallel_residual": False,
        "general.file_type": None,
        "tokenizer.ggml.pre": "gpt-2",
    }
    return (USUAL | {"rotary_pct": 0.25, "layer_norm_eps": 1e-5, "use_parallel_residual": False}, *build(t, rows), keys)


def bloom(t):
    rows = [
        ("transformer.word_embeddings.weight", "token_embd.weight", (V, E)),
        ("transformer.word_embeddings_layernorm.weight", "token_embd_norm.weight", (E,)),
        ("transformer.h.N.input_layernorm.bias", "blk.N.attn_norm.bias", (E,)),
        ("transformer.h.N.mlp.dense_4h_to_h.weight", "blk.N.ffn_down.weight", (E, F)),
        ("transformer.ln_f.weight", "output_norm.weight", (E,)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        for end, shape in (("weight", (D, E)), ("bias", (D,))):
            heads = [[t(shape) for _ in range(3)] for _ in range(H)]
            tensors[f"transformer.h.{i}.self_attention.query_key_value.{end}"] = np.concatenate(
                [part for head in heads for part in head]
            )
            expected[f"blk.{i}.attn_qkv.{end}"] = np.concatenate([head[which] for which in range(3) for head in heads])
    expected["output.weight"] = expected["token_embd.weight"]
    return (
        OLDER | {"hidden_size": E},
        tensors,
        expected,
        {"general.name": "Bloom", "bloom.context_length": E, "bloom.feed_forward_length": 4 * E},
    )


def mpt(t):
    base = "transformer.blocks.N."
    rows = [
        ("transformer.wte.weight", "token_embd.weight", (V, E)),
        (base + "norm_1.weight", "blk.N.attn_norm.weight", (E,)),
        (base + "attn.Wqkv.weight", "blk.N.attn_qkv.weight", (3 * E, E)),
        (base + "ffn.act.scales", "blk.N.ffn.act.scales", (F,)),
        (base + "ffn.up_proj.weight", "blk.N.ffn_up.weight", (F, E)),
        ("transformer.norm_f.weight", "output_norm.weight", (E,)),
    ]
    config = {
        "vocab_size": V,
        "d_model": E,
        "n_layers": L,
        "n_heads": H,
        "max_seq_len": 128,
        "attn_config": {"alibi": True, "alibi_bias_max": 8, "clip_qkv": 6},
    }
    keys = {
        "mpt.attention.max_alibi_bias": 8.0,
        "mpt.attention.clamp_kqv": 6.0,
        "tokenizer.ggml.pre": "mpt",
        "mpt.attention.head_count_kv": None,
    }
    return (config, *build(t, rows), keys)


def falcon(t):
    rows = [
        ("transformer.word_embeddings.weight", "token_embd.weight", (V, E)),
        ("transformer.h.N.ln_mlp.weight", "blk.N.attn_norm.weight", (E,)),
        ("transformer.h.N.ln_attn.weight", "blk.N.attn_norm_2.weight", (E,)),
        ("transformer.h.N.self_attention.dense.weight", "blk.N.attn_output.weight", (E, E)),
        ("transformer.ln_f.bias", "output_norm.bias", (E,)),
        ("lm_head.weight", "output.weight", (V, E)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        groups = [[t((D, E)) for _ in range(H // KV + 2)] for _ in range(KV)]
        tensors[f"transformer.h.{i}.self_attention.query_key_value.weight"] = np.concatenate(
            [head for group in groups for head in group]
        )
        expected[f"blk.{i}.attn_qkv.weight"] = np.concatenate(
            [head for group in groups for head in group[:-2]]
            + [group[-2] for group in groups]
            + [group[-1] for group in groups]
        )
    config = {
        "vocab_size": V,
        "hidden_size": E,
        "num_hidden_layers": L,
        "num_attention_heads": H,
        "num_kv_heads": KV,
        "layer_norm_epsilon": 1e-5,
    }
    return (
        config,
        tensors,
        expected,
        {"falcon.tensor_data_layout": "jploski", "falcon.context_length": 2048, "falcon.attention.head_count_kv": KV},
    )


def starcoder(t):
    rows = [
        ("transformer.wte.weight", "token_embd.weight", (V, E)),
        ("transformer.wpe.weight", "position_embd.weight", (128, E)),
        ("transformer.h.N.attn.c_attn.weight", "blk.N.attn_qkv.weight", (E + 2 * D, E)),
        ("transformer.h.N.ln_1.bias", "blk.N.attn_norm.bias", (E,)),
        ("transformer.h.N.mlp.c_fc.weight", "blk.N.ffn_up.weight", (4 * E, E)),
        ("lm_head.weight", "output.weight", (V, E)),
    ]
    return (
        OLDER,
        *build(t, rows),
        {
            "starcoder.attention.head_count_kv": 1,
            "starcoder.feed_forward_length": 4 * E,
            "tokenizer.ggml.pre": "starcoder",
        },
    )


def starcoder2(t):
    rows = [row for row in llama_rows() if ".mlp." not in row[0]] + [
        ("model.layers.N.mlp.c_fc.weight", "blk.N.ffn_up.weight", (F, E)),
        ("model.layers.N.mlp.c_proj.bias", "blk.N.ffn_down.bias", (E,)),
    ]
    return (USUAL | {"norm_epsilon": 1e-5}, *build(t, rows), {"starcoder2.attention.layer_norm_epsilon": 1e-5})


def refact(t):
    rows = [
        ("transformer.wte.weight", "token_embd.weight", (V, E)),
        ("transformer.h.N.attn.q.weight", "blk.N.attn_q.weight", (E, E)),
        ("transformer.h.N.attn.c_proj.weight", "blk.N.attn_output.weight", (E, E)),
        ("transformer.h.N.ln_2.weight", "blk.N.ffn_norm.weight", (E,)),
        ("transformer.h.N.mlp.c_proj.weight", "blk.N.ffn_down.weight", (E, 256)),
        ("lm_head.weight", "output.weight", (V, E)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        k, v, gate, up = t((D, E)), t((D, E)), t((256, E)), t((256, E))
        tensors[f"transformer.h.{i}.attn.kv.weight"] = np.concatenate([k, v])
        tensors[f"transformer.h.{i}.mlp.gate_up_proj.weight"] = np.concatenate([gate, up])
        expected |= {
            f"blk.{i}.attn_k.weight": k,
            f"blk.{i}.attn_v.weight": v,
            f"blk.{i}.ffn_gate.weight": gate,
            f"blk.{i}.ffn_up.weight": up,
        }
    return OLDER, tensors, expected, {"refact.feed_forward_length": 256, "tokenizer.ggml.pre": "refact"}


def gpt2(t):
    rows = [
        ("wte.weight", "token_embd.weight", (V, E)),
        ("wpe.weight", "position_embd.weight", (128, E)),
        ("h.N.attn.bias", None, (1, 1, 8, 8)),
        ("h.N.ln_1.weight", "blk.N.attn_norm.weight", (E,)),
        ("h.N.attn.c_attn.bias", "blk.N.attn_qkv.bias", (3 * E,)),
        ("ln_f.weight", "output_norm.weight", (E,)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        for name, target, shape in (
            ("attn.c_attn", "attn_qkv", (E, 3 * E)),
            ("attn.c_proj", "attn_output", (E, E)),
            ("mlp.c_fc", "ffn_up", (E, 4 * E)),
            ("mlp.c_proj", "ffn_down", (4 * E, E)),
        ):
            tensors[f"h.{i}.{name}.weight"] = t(shape)
            expected[f"blk.{i}.{target}.weight"] = tensors[f"h.{i}.{name}.weight"].T
    expected["output.weight"] = expected["token_embd.weight"]
    return OLDER | {"n_ctx": 128}, tensors, expected, {"gpt2.context_length": 128, "general.file_type": 1}


def codeshell(t):
    rows = [
        ("transformer.wte.weight", "token_embd.weight", (V, E)),
        ("transformer.h.N.attn.c_attn.weight", "blk.N.attn_qkv.weight", (E + 2 * KV * D, E)),
        ("transformer.ln_f.weight", "output_norm.weight", (E,)),
    ]
    tensors, expected = build(t, rows)
    expected["output.weight"] = expected["token_embd.weight"]
    return (
        OLDER | {"num_query_groups": KV},
        tensors,
        expected,
        {"codeshell.rope.scaling.type": "linear", "codeshell.rope.freq_base": 10000.0},
    )


def persimmon(t):
    rows = [
        ("model.embed_tokens.weight", "token_embd.weight", (V, E)),
        ("model.layers.N.self_attn.query_key_value.weight", "blk.N.attn_qkv.weight", (3 * E, E)),
        ("model.layers.N.self_attn.dense.bias", "blk.N.attn_output.bias", (E,)),
        ("model.layers.N.self_attn.q_layernorm.weight", "blk.N.attn_q_norm.weight", (D,)),
        ("model.final_layernorm.weight", "output_norm.weight", (E,)),
        ("lm_head.weight", "output.weight", (V, E)),
    ]
    return (
        USUAL | {"layer_norm_eps": 1e-5},
        *build(t, rows),
        {"general.name": "persimmon-8b-chat", "persimmon.rope.dimension_count": 8},
    )


def phi2(t):
    rows = [row for row in llama_rows() if "o_proj" not in row[0] and ".mlp." not in row[0] and "norm" not in row[0]]
    rows += [
        ("model.layers.N.self_attn.dense.weight", "blk.N.attn_output.weight", (E, E)),
        ("model.layers.N.mlp.fc1.bias", "blk.N.ffn_up.bias", (F,)),
        ("model.final_layernorm.weight", "output_norm.weight", (E,)),
        ("lm_head.bias", "output.bias", (V,)),
    ]
    keys = {"phi2.rope.dimension_count": 6, "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.pre": "phi-2"}
    return (USUAL | {"partial_rotary_factor": 0.4, "layer_norm_eps": 1e-5}, *with_head(t, rows), keys)


def phi3(t):
    rows = [
        row
        for row in llama_rows()
        if not row[0].endswith(
            ("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")
        )
    ]
    rows += [
        ("model.layers.N.self_attn.qkv_proj.weight", "blk.N.attn_qkv.weight", (3 * E, E)),
        ("model.layers.N.mlp.gate_up_proj.weight", "blk.N.ffn_up.weight", (2 * F, E)),
    ]
    return (USUAL, *with_head(t, rows), {"phi3.feed_forward_length": F, "phi3.attention.head_count_kv": H})


def gemma(t):
    tensors, expected = build(t, [*llama_rows(), ("lm_head.weight", None, (V, E))])
    expected = {
        name: array + np.float32(1) if name.endswith("norm.weight") else array for name, array in expected.items()
    }
    return (
        USUAL | {"head_dim": 32},
        tensors,
        expected,
        {"gemma.attention.key_length": 32, "tokenizer.ggml.eot_token_id": 107, "tokenizer.ggml.prefix_token_id": 67},
    )


def bert(t):
    base = "encoder.layer.N."
    rows = [
        ("embeddings.word_embeddings.weight", "token_embd.weight", (V, E)),
        ("embeddings.token_type_embeddings.weight", "token_types.weight", (2, E)),
        ("embeddings.position_embeddings.weight", "position_embd.weight", (128, E)),
        ("embeddings.position_ids", None, (1, 128)),
        ("embeddings.LayerNorm.weight", "token_embd_norm.weight", (E,)),
        (base + "attention.self.key.weight", "blk.N.attn_k.weight", (E, E)),
        (base + "attention.output.LayerNorm.bias", "blk.N.attn_output_norm.bias", (E,)),
        (base + "output.dense.weight", "blk.N.ffn_down.weight", (E, F)),
        ("pooler.dense.weight", None, (E, E)),
        ("pooler.dense.bias", None, (E,)),
    ]
    keys = {
        "bert.attention.causal": False,
        "bert.pooling_type": None,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "bert-bge",
    }
    return (
        {name: value for name, value in USUAL.items() if "key_value" not in name and "r" != name[0]}
        | {"layer_norm_eps": 1e-12},
        *build(t, rows),
        keys,
    )


def nomic_bert(t):
    base = "encoder.layers.N."
    rows = [
        ("embeddings.word_embeddings.weight", "token_embd.weight", (V, E)),
        ("emb_ln.weight", "token_embd_norm.weight", (E,)),
        (base + "attn.Wqkv.weight", "blk.N.attn_qkv.weight", (3 * E, E)),
        (base + "mlp.fc11.weight", "blk.N.ffn_up.weight", (F, E)),
        (base + "mlp.fc12.weight", "blk.N.ffn_gate.weight", (F, E)),
        (base + "norm2.bias", "blk.N.layer_output_norm.bias", (E,)),
    ]
    config = {
        "vocab_size": V,
        "n_embd": E,
        "n_inner": F,
        "n_layer": L,
        "n_head": H,
        "n_positions": 8192,
        "layer_norm_epsilon": 1e-12,
        "rotary_emb_base": 1000,
        "activation_function": "swiglu",
        "causal": False,
    }
    return (config, *build(t, rows), {"nomic-bert.context_length": 2048, "nomic-bert.rope.freq_base": 1000.0})


def mamba(t):
    base = "backbone.layers.N."
    rows = [
        ("backbone.embeddings.weight", "token_embd.weight", (V, E)),
        (base + "norm.weight", "blk.N.attn_norm.weight", (E,)),
        (base + "mixer.in_proj.weight", "blk.N.ssm_in.weight", (4 * E, E)),
        (base + "mixer.x_proj.weight", "blk.N.ssm_x.weight", (36, 2 * E)),
        (base + "mixer.dt_proj.bias", "blk.N.ssm_dt.bias", (2 * E,)),
        (base + "mixer.A_log", "blk.N.ssm_a", (2 * E, 16)),
        (base + "mixer.D", "blk.N.ssm_d", (2 * E,)),
        (base + "mixer.conv1d.weight", "blk.N.ssm_conv1d.weight", (2 * E, 1, 4)),
        ("backbone.norm_f.weight", "output_norm.weight", (E,)),
    ]
    tensors, expected = build(t, rows)
    for i in range(L):
        expected[f"blk.{i}.ssm_a"] = -np.exp(expected[f"blk.{i}.ssm_a"])
        expected[f"blk.{i}.ssm_conv1d.weight"] = expected[f"blk.{i}.ssm_conv1d.weight"][:, 0]
    tensors["lm_head.weight"] = tensors["backbone.embeddings.weight"]
    config = {"vocab_size": V - 3, "hidden_size": E, "num_hidden_layers": L, "layer_norm_epsilon": 1e-5}
    return (
        config,
        tensors,
        expected,
        {"mamba.ssm.inner_size": 2 * E, "mamba.ssm.time_step_rank": 4, "mamba.attention.head_count": 0},
    )


# architecture: (model, architecture in the file, vocabulary of the test, tensors with more than one dimension that stay
# f32)
MODELS = {
    "LlamaForCausalLM": (llama, "llama", "spm", ()),
    "LlamaForCausalLM 3.1": (llama_3_1, "llama", "gpt2", ()),
    "MistralForCausalLM": (llama, "llama", "spm", ()),
    "MixtralForCausalLM": (mixtral, "llama", "spm", ()),
    "BaichuanForCausalLM": (baichuan, "baichuan", "spm", ()),
    "BaiChuanForCausalLM": (baichuan, "baichuan", "spm", ()),
    "XverseForCausalLM": (xverse, "xverse", "fast", ()),
    "OrionForCausalLM": (orion, "orion", "spm", ()),
    "MiniCPMForCausalLM": (minicpm, "minicpm", "fast", ()),
    "InternLM2ForCausalLM": (internlm2, "internlm2", "spm", ()),
    "StableLmForCausalLM": (stablelm, "stablelm", "gpt2", ("attn_q_norm", "attn_k_norm")),
    "StableLMEpochForCausalLM": (stablelm, "stablelm", "gpt2", ("attn_q_norm", "attn_k_norm")),
    "LlavaStableLMEpochForCausalLM": (stablelm, "stablelm", "gpt2", ("attn_q_norm", "attn_k_norm")),
    "CohereForCausalLM": (command_r, "command-r", "digits", ()),
    "OlmoForCausalLM": (olmo, "olmo", "gpt2", ()),
    "OLMoForCausalLM": (olmo, "olmo", "gpt2", ()),
    "PlamoForCausalLM": (plamo, "plamo", "spm", ()),
    "GrokForCausalLM": (grok, "grok", "spm", ()),
    "DbrxForCausalLM": (dbrx, "dbrx", "gpt2", ()),
    "QWenLMHeadModel": (qwen, "qwen", "qwen", ()),
    "Qwen2ForCausalLM": (qwen2, "qwen2", "gpt2", ()),
    "Qwen2MoeForCausalLM": (qwen2moe, "qwen2moe", "gpt2", ()),
    "GPTNeoXForCausalLM": (gptneox, "gptneox", "gpt2", ()),
    "BloomForCausalLM": (bloom, "bloom", "gpt2", ()),
    "MPTForCausalLM": (mpt, "mpt", "gpt2", ()),
    "FalconForCausalLM": (falcon, "falcon", "gpt2", ()),
    "RWForCausalLM": (falcon, "falcon", "gpt2", ()),
    "GPTBigCodeForCausalLM": (starcoder, "starcoder", "digits", ()),
    "Starcoder2ForCausalLM": (starcoder2, "starcoder2", "digits", ()),
    "GPTRefactForCausalLM": (refact, "refact", "digits", ()),
    "GPT2LMHeadModel": (gpt2, "gpt2", "gpt2", ()),
    "CodeShellForCausalLM": (codeshell, "codeshell", "digits", ()),
    "PersimmonForCausalLM": (persimmon, "persimmon", "spm", ("",)),
    "PhiForCausalLM": (phi2, "phi2", "gpt2", ()),
    "Phi3ForCausalLM": (phi3, "phi3", "spm", ()),
    "GemmaForCausalLM": (gemma, "gemma", "spm", ()),
    "BertModel": (bert, "bert", "wordpiece", ("token_types",)),
    "CamembertModel": (bert, "bert", "wordpiece", ("token_types",)),
    "NomicBertModel": (nomic_bert, "nomic-bert", "wordpiece", ()),
    "MambaForCausalLM": (mamba, "mamba", "gpt2", ("ssm_a", "ssm_conv1d", "ssm_x")),
    "MambaLMHeadModel": (mamba, "mamba", "gpt2", ("ssm_a", "ssm_conv1d", "ssm_x")),
}
