"""Names of tensors: what other programs call them, and which of them an architecture has.

In a name N stands for the number of the layer, the first number between dots. A name is looked up as it is, then
without `.weight` or `.bias`. A name of GGUF itself stays as it is.
"""

import re

SUFFIXES = (".weight", ".bias")

# name in a GGUF file: names elsewhere
SOURCES = {
    "token_embd": """
        gpt_neox.embed_in transformer.wte transformer.word_embeddings word_embeddings model.embed_tokens
        tok_embeddings embeddings.word_embeddings language_model.embedding.word_embeddings wte
        transformer.embd.wte model.tok_embeddings model.embedding backbone.embedding backbone.embeddings
        transformer.in_out_embed""",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "word_embeddings_layernorm embeddings.LayerNorm emb_ln",
    "position_embd": "transformer.wpe embeddings.position_embeddings wpe",
    "output": "embed_out lm_head output word_embeddings_for_head lm_head.linear",
    "output_norm": """
        gpt_neox.final_layer_norm transformer.ln_f model.norm norm transformer.norm_f ln_f
        language_model.encoder.final_layernorm model.final_layernorm lm_head.ln model.norm_f backbone.norm_f
        transformer.rms_norm""",
    "rope_freqs": "rope.freqs language_model.encoder.layers.N.self_attention.rotary_emb.inv_freq",
    "blk.N.attn_norm": """
        gpt_neox.layers.N.input_layernorm transformer.h.N.ln_1 transformer.blocks.N.norm_1
        transformer.h.N.input_layernorm h.N.input_layernorm transformer.h.N.ln_mlp
        model.layers.N.input_layernorm layers.N.attention_norm
        language_model.encoder.layers.N.input_layernorm model.layers.N.ln1 h.N.ln_1 transformer.h.N.ln
        model.layers.layers.N.norm model.layers.N.attention_norm model.layers.N.norm backbone.layers.N.norm
        transformer.decoder_layer.N.rms_norm transformer.blocks.N.norm_attn_norm.norm_1""",
    "blk.N.attn_norm_2": "transformer.h.N.ln_attn",
    "blk.N.attn_qkv": """
        gpt_neox.layers.N.attention.query_key_value transformer.h.N.attn.c_attn
        transformer.blocks.N.attn.Wqkv transformer.blocks.N.norm_attn_norm.attn.Wqkv
        transformer.h.N.self_attention.query_key_value h.N.self_attention.query_key_value
        language_model.encoder.layers.N.self_attention.query_key_value
        model.layers.N.self_attn.query_key_value h.N.attn.c_attn transformer.h.N.mixer.Wqkv
        encoder.layers.N.attn.Wqkv model.layers.N.self_attn.qkv_proj""",
    "blk.N.attn_q": """
        model.layers.N.self_attn.q_proj layers.N.attention.wq encoder.layer.N.attention.self.query
        transformer.h.N.attn.q_proj model.layers.layers.N.self_attn.q_proj model.layers.N.attention.wq
        transformer.decoder_layer.N.multi_head_attention.query""",
    "blk.N.attn_k": """
        model.layers.N.self_attn.k_proj layers.N.attention.wk encoder.layer.N.attention.self.key
        transformer.h.N.attn.k_proj model.layers.layers.N.self_attn.k_proj model.layers.N.attention.wk
        transformer.decoder_layer.N.multi_head_attention.key""",
    "blk.N.attn_v": """
        model.layers.N.self_attn.v_proj layers.N.attention.wv encoder.layer.N.attention.self.value
        transformer.h.N.attn.v_proj model.layers.layers.N.self_attn.v_proj model.layers.N.attention.wv
        transformer.decoder_layer.N.multi_head_attention.value""",
    "blk.N.attn_output": """
        gpt_neox.layers.N.attention.dense transformer.h.N.attn.c_proj transformer.blocks.N.attn.out_proj
        transformer.h.N.self_attention.dense h.N.self_attention.dense model.layers.N.self_attn.o_proj
        layers.N.attention.wo encoder.layer.N.attention.output.dense transformer.h.N.attn.out_proj
        language_model.encoder.layers.N.self_attention.dense model.layers.N.self_attn.dense h.N.attn.c_proj
        transformer.h.N.mixer.out_proj model.layers.layers.N.self_attn.o_proj model.layers.N.attention.wo
        encoder.layers.N.attn.out_proj transformer.decoder_layer.N.multi_head_attention.linear
        transformer.blocks.N.norm_attn_norm.attn.out_proj""",
    "blk.N.attn_output_norm": """
        encoder.layer.N.attention.output.LayerNorm encoder.layers.N.norm1
        transformer.decoder_layer.N.rms_norm_1 transformer.blocks.N.norm_attn_norm.norm_2""",
    "blk.N.attn_rot_embd": """
        model.layers.N.self_attn.rotary_emb.inv_freq layers.N.attention.inner_attention.rope.freqs
        model.layers.layers.N.self_attn.rotary_emb.inv_freq transformer.h.N.attn.rotary_emb.inv_freq""",
    "blk.N.attn_q_norm": """
        language_model.encoder.layers.N.self_attention.q_layernorm model.layers.N.self_attn.q_layernorm
        model.layers.N.self_attn.q_norm transformer.blocks.N.attn.q_ln""",
    "blk.N.attn_k_norm": """
        language_model.encoder.layers.N.self_attention.k_layernorm model.layers.N.self_attn.k_layernorm
        model.layers.N.self_attn.k_norm transformer.blocks.N.attn.k_ln""",
    "blk.N.ffn_norm": """
        gpt_neox.layers.N.post_attention_layernorm transformer.h.N.ln_2 h.N.post_attention_layernorm
        transformer.blocks.N.norm_2 model.layers.N.post_attention_layernorm layers.N.ffn_norm
        language_model.encoder.layers.N.post_attention_layernorm model.layers.N.ln2 h.N.ln_2
        model.layers.N.ffn_norm transformer.decoder_layer.N.rms_norm_2""",
    "blk.N.ffn_gate_inp": """
        layers.N.feed_forward.gate model.layers.N.block_sparse_moe.gate model.layers.N.mlp.gate
        transformer.decoder_layer.N.router transformer.blocks.N.ffn.router.layer""",
    "blk.N.ffn_gate_inp_shexp": "model.layers.N.mlp.shared_expert_gate",
    "blk.N.ffn_up": """
        gpt_neox.layers.N.mlp.dense_h_to_4h transformer.h.N.mlp.c_fc transformer.blocks.N.ffn.up_proj
        transformer.h.N.mlp.dense_h_to_4h h.N.mlp.dense_h_to_4h model.layers.N.mlp.up_proj
        layers.N.feed_forward.w3 encoder.layer.N.intermediate.dense transformer.h.N.mlp.fc_in
        language_model.encoder.layers.N.mlp.dense_h_to_4h model.layers.N.mlp.dense_h_to_4h
        transformer.h.N.mlp.w1 h.N.mlp.c_fc transformer.h.N.mlp.fc1 model.layers.N.mlp.fc1
        model.layers.N.mlp.gate_up_proj model.layers.layers.N.mlp.up_proj model.layers.N.feed_forward.w3
        encoder.layers.N.mlp.fc11 model.layers.N.mlp.c_fc""",
    "blk.N.ffn_up_exps": """
        layers.N.feed_forward.experts.w3 transformer.decoder_layer.N.moe.linear_v
        transformer.blocks.N.ffn.experts.mlp.v1 model.layers.N.mlp.experts.up_proj""",
    "blk.N.ffn_up_shexp": "model.layers.N.mlp.shared_expert.up_proj",
    "blk.N.ffn": "transformer.blocks.N.ffn.act",
    "blk.N.ffn_gate": """
        model.layers.N.mlp.gate_proj layers.N.feed_forward.w1 transformer.h.N.mlp.w2
        model.layers.layers.N.mlp.gate_proj model.layers.N.feed_forward.w1 encoder.layers.N.mlp.fc12""",
    "blk.N.ffn_gate_exps": """
        layers.N.feed_forward.experts.w1 transformer.decoder_layer.N.moe.linear
        transformer.blocks.N.ffn.experts.mlp.w1 model.layers.N.mlp.experts.gate_proj""",
    "blk.N.ffn_gate_shexp": "model.layers.N.mlp.shared_expert.gate_proj",
    "blk.N.ffn_down": """
        gpt_neox.layers.N.mlp.dense_4h_to_h transformer.h.N.mlp.c_proj transformer.blocks.N.ffn.down_proj
        transformer.h.N.mlp.dense_4h_to_h h.N.mlp.dense_4h_to_h model.layers.N.mlp.down_proj
        layers.N.feed_forward.w2 encoder.layer.N.output.dense transformer.h.N.mlp.fc_out
        language_model.encoder.layers.N.mlp.dense_4h_to_h model.layers.N.mlp.dense_4h_to_h h.N.mlp.c_proj
        transformer.h.N.mlp.fc2 model.layers.N.mlp.fc2 model.layers.layers.N.mlp.down_proj
        model.layers.N.feed_forward.w2 encoder.layers.N.mlp.fc2 model.layers.N.mlp.c_proj""",
    "blk.N.ffn_down_exps": """
        layers.N.feed_forward.experts.w2 transformer.decoder_layer.N.moe.linear_1
        transformer.blocks.N.ffn.experts.mlp.w2 model.layers.N.mlp.experts.down_proj""",
    "blk.N.ffn_down_shexp": "model.layers.N.mlp.shared_expert.down_proj",
    "blk.N.layer_output_norm": """
        encoder.layer.N.output.LayerNorm encoder.layers.N.norm2 transformer.decoder_layer.N.rms_norm_3""",
    "blk.N.ssm_in": "model.layers.N.mixer.in_proj backbone.layers.N.mixer.in_proj",
    "blk.N.ssm_conv1d": "model.layers.N.mixer.conv1d backbone.layers.N.mixer.conv1d",
    "blk.N.ssm_x": "model.layers.N.mixer.x_proj backbone.layers.N.mixer.x_proj",
    "blk.N.ssm_dt": "model.layers.N.mixer.dt_proj backbone.layers.N.mixer.dt_proj",
    "blk.N.ssm_a": "model.layers.N.mixer.A_log backbone.layers.N.mixer.A_log",
    "blk.N.ssm_d": "model.layers.N.mixer.D backbone.layers.N.mixer.D",
    "blk.N.ssm_out": "model.layers.N.mixer.out_proj backbone.layers.N.mixer.out_proj",}

_ENDS = "token_embd output_norm output"
_QKV = "attn_q attn_k attn_v attn_output"
_FFN = "ffn_gate ffn_down ffn_up"
_EXPERTS = "ffn_gate_exps ffn_down_exps ffn_up_exps"
_LLAMA = f"{_ENDS} rope_freqs attn_norm {_QKV} attn_rot_embd ffn_gate_inp ffn_norm {_FFN} {_EXPERTS}"
_BAICHUAN = f"{_ENDS} rope_freqs attn_norm {_QKV} attn_rot_embd ffn_norm {_FFN}"
_REFACT = f"{_ENDS} attn_norm {_QKV} ffn_norm {_FFN}"
_GPT2 = f"{_ENDS} position_embd attn_norm attn_qkv attn_output ffn_norm ffn_down ffn_up"
_FUSED = f"{_ENDS} attn_norm attn_qkv attn_output ffn_norm ffn_down ffn_up"
_BERT = ("token_embd token_embd_norm token_types position_embd output_norm attn_output_norm ffn_down ffn_up "
         "layer_output_norm")
_PHI = f"{_ENDS} attn_norm attn_qkv {_QKV} ffn_norm ffn_down ffn_up"

# The tensors of an architecture, without `blk.N.`.
KINDS = {arch: frozenset(text.split()) for arch, text in {
    "llama": _LLAMA,
    "grok": f"{_LLAMA} attn_output_norm layer_output_norm",
    "gptneox": _FUSED,
    "falcon": f"{_ENDS} attn_norm attn_norm_2 attn_qkv attn_output ffn_down ffn_up",
    "baichuan": _BAICHUAN,
    "orion": _BAICHUAN,
    "xverse": _BAICHUAN,
    "starcoder": _GPT2,
    "gpt2": _GPT2,
    "bert": f"{_BERT} {_QKV}",
    "nomic-bert": f"{_BERT} attn_qkv attn_output ffn_gate",
    "mpt": f"{_FUSED} ffn attn_q_norm attn_k_norm position_embd",
    "persimmon": f"{_FUSED} attn_q_norm attn_k_norm attn_rot_embd",
    "refact": _REFACT,
    "qwen2": _REFACT,
    "bloom": f"{_FUSED} token_embd_norm",
    "stablelm": f"{_REFACT} rope_freqs attn_q_norm attn_k_norm",
    "qwen": f"{_ENDS} rope_freqs attn_norm attn_qkv attn_output attn_rot_embd ffn_norm {_FFN}",
    "qwen2moe": f"{_ENDS} attn_norm {_QKV} ffn_norm ffn_gate_inp {_EXPERTS} ffn_gate_inp_shexp ffn_gate_shexp "
                "ffn_down_shexp ffn_up_shexp",
    "plamo": f"{_ENDS} rope_freqs attn_norm {_QKV} attn_rot_embd {_FFN}",
    "phi2": _PHI,
    "phi3": _PHI,
    "codeshell": f"{_GPT2} attn_rot_embd",
    "internlm2": f"{_REFACT} attn_rot_embd",
    "minicpm": _LLAMA.replace(" output ", " "),
    "gemma": _REFACT.replace(" output ", " "),
    "starcoder2": _BAICHUAN.replace(" ffn_gate ", " "),
    "mamba": f"{_ENDS} attn_norm ssm_in ssm_conv1d ssm_x ssm_dt ssm_a ssm_d ssm_out",
    "command-r": f"token_embd output_norm attn_norm {_QKV} {_FFN} attn_k_norm attn_q_norm",
    "dbrx": f"{_ENDS} attn_norm attn_qkv attn_output attn_output_norm ffn_gate_inp {_EXPERTS}",
    "olmo": f"token_embd output {_QKV} {_FFN}",
}.items()}

# Tables of angles that a reader computes itself.
DROPPED = frozenset(["rope_freqs", "attn_rot_embd"])


class NameMap:
    """find(name) -> (name in a GGUF file, kind), or None for a name that the architecture does not have."""

    def __init__(self, arch, n_layers):
        self._n_layers = n_layers
        self._kinds = {}
        for target, sources in SOURCES.items():
            kind = target.removeprefix("blk.N.")
            if kind in KINDS[arch]:
                self._kinds.update(dict.fromkeys([target, *sources.split()], target))

    def find(self, name):
        for suffix in ("", *SUFFIXES):
            if name.endswith(suffix) and (found := self._find(name[:len(name) - len(suffix)])):
                return found + suffix, re.sub(r"^blk\.\d+\.", "", found)
        return None

    def _find(self, name):
        match = re.search(r"(?:^|\.)(0|[1-9]\d{0,8})(?=\.)", name)
        if match is None:
            return self._kinds.get(name)
        target = self._kinds.get(name[:match.start(1)] + "N" + name[match.end(1):])
        if target is None or int(match[1]) >= self._n_layers:
            return None
        return target.replace("N", match[1], 1) if "N" in target else target
