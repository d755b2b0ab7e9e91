"""A trained state as an HF checkpoint: python tools/train/export.py OUT/state.pt FOLDER. Weights are F16."""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
TEMPLATE = ("{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
            "{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + '\\n' }}"
            "{% else %}{{ 'ASSISTANT: ' + message['content'] + eos_token + '\\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")


def files(config):
    """Name -> content of the JSON files beside the weights."""
    c = config["model"]
    return {
        "config.json": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": config["vocab"]["size"],
            "hidden_size": c["dim"], "intermediate_size": c["ffn"], "num_hidden_layers": c["layers"],
            "num_attention_heads": c["heads"], "num_key_value_heads": c["kv_heads"], "rms_norm_eps": c["eps"],
            "rope_theta": c["rope_theta"], "max_position_embeddings": c["context"], "hidden_act": "silu",
            "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float16"},
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "do_sample": True, "temperature": 0.7,
                                   "top_k": 40},
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
            "add_bos_token": True, "add_eos_token": False, "chat_template": TEMPLATE}}


def main(state, folder):
    folder.mkdir(parents=True, exist_ok=True)
    weights = torch.load(state)["model"]
    save_file({name: weight.half().contiguous() for name, weight in weights.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    for name, content in files(json.loads((HERE / "config.json").read_text())).items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    shutil.copyfile(state.parent / "tokenizer.model", folder / "tokenizer.model")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
