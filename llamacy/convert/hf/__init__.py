"""Models of Hugging Face's classes: one class or a few lines per architecture.

config.json's `architectures` names the class. To add one: a class in the file of its family, and its row here.
"""

from importlib import import_module

# name in config.json: file and class
ROWS = {
    "BaiChuanForCausalLM": "baichuan.Baichuan",
    "BaichuanForCausalLM": "baichuan.Baichuan",
    "BertModel": "bert.Bert",
    "BloomForCausalLM": "gpt.Bloom",
    "CamembertModel": "bert.Bert",
    "CodeShellForCausalLM": "gpt.CodeShell",
    "CohereForCausalLM": "llama.CommandR",
    "DbrxForCausalLM": "moe.Dbrx",
    "FalconForCausalLM": "gpt.Falcon",
    "GPT2LMHeadModel": "gpt.Gpt2",
    "GPTBigCodeForCausalLM": "gpt.Starcoder",
    "GPTNeoXForCausalLM": "gpt.GptNeoX",
    "GPTRefactForCausalLM": "gpt.Refact",
    "GemmaForCausalLM": "gemma.Gemma",
    "GrokForCausalLM": "moe.Grok",
    "InternLM2ForCausalLM": "internlm.InternLM2",
    "LlamaForCausalLM": "llama.Llama",
    "LlavaStableLMEpochForCausalLM": "stablelm.StableLM",
    "MPTForCausalLM": "gpt.Mpt",
    "MambaForCausalLM": "mamba.Mamba",
    "MambaLMHeadModel": "mamba.Mamba",
    "MiniCPMForCausalLM": "llama.MiniCpm",
    "MistralForCausalLM": "llama.Llama",
    "MixtralForCausalLM": "llama.Llama",
    "NomicBertModel": "bert.NomicBert",
    "OLMoForCausalLM": "llama.Olmo",
    "OlmoForCausalLM": "llama.Olmo",
    "OrionForCausalLM": "baichuan.Orion",
    "PersimmonForCausalLM": "gpt.Persimmon",
    "Phi3ForCausalLM": "phi.Phi3",
    "PhiForCausalLM": "phi.Phi2",
    "PlamoForCausalLM": "llama.Plamo",
    "QWenLMHeadModel": "qwen.Qwen",
    "Qwen2ForCausalLM": "qwen.Qwen2",
    "Qwen2MoeForCausalLM": "qwen.Qwen2Moe",
    "RWForCausalLM": "gpt.Falcon",
    "StableLMEpochForCausalLM": "stablelm.StableLM",
    "StableLmForCausalLM": "stablelm.StableLM",
    "Starcoder2ForCausalLM": "gpt.Starcoder2",
    "XverseForCausalLM": "baichuan.Xverse",
}


def model_class(name):
    """The class of an architecture, or None. Only its own file is imported."""
    if name not in ROWS:
        return None
    file, attribute = ROWS[name].split(".")
    return getattr(import_module(f"llamacy.convert.hf.{file}"), attribute)
