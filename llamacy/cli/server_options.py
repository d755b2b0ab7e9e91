"""The flags of `server`: one row each, in the form of options.py. Parser, --help, docs/server.md and tests read it.

Kinds are those of options.py, and
    list      any word; may be repeated, all are kept
    do        calls server_params.<field>(params, take, flag)
"""

from .options import CACHE_TYPES, MODEL

GENERAL = (
    ("-h --help", "", "help", "", None, "print this text and exit"),
    ("-v --verbose", "", "on", "verbose", False, "log more, and put the native answer into chat answers"),
    ("-t --threads", "N", "int", "n_threads", None, "threads while generating (default: one per physical core)"),
    ("-tb --threads-batch", "N", "int", "n_threads_batch", -1, "threads while reading prompts; -1: as --threads"),
    ("--threads-http", "N", "int", "n_threads_http", -1, "accepted; one thread serves all connections"),
    ("--numa", "distribute|isolate|numactl", "do", "numa", None, "how threads are placed on several NUMA nodes"),
)

MODELS = (
    ("-m --model", "FILE", "str", "model", "",
     "GGUF file; the first of a split set is enough (default: " + MODEL + ", else bundled)"),
    ("-mu --model-url", "URL", "str", "model_url", "", "address to fetch the model from (needs a build that can download)"),
    ("-hfr --hf-repo", "REPO", "str", "hf_repo", "", "repository on Hugging Face (needs a build that can download)"),
    ("-hff --hf-file", "FILE", "str", "hf_file", "", "file in that repository"),
    ("-a --alias", "NAME", "str", "alias", "unknown", "name of the model in answers (default: as given to --model)"),
    ("--no-mmap", "", "off", "use_mmap", True, "read the weights into memory instead of mapping the file"),
    ("--mlock", "", "on", "use_mlock", False, "keep the weights in RAM"),
    ("--override-kv", "KEY=TYPE:VALUE", "do", "override_kv", None,
     "replace a metadata entry of the model; TYPE is int, float, bool or str; may be repeated"),
    ("--lora", "FILE", "do", "lora", None, "apply a LoRA adapter (turns mmap off); may be repeated"),
    ("--lora-scaled", "FILE SCALE", "do", "lora_scaled", None, "the same, multiplied by SCALE"),
    ("--lora-base", "FILE", "str", "lora_base", "", "compute the changes of the first adapter from this model's weights"),
)

CONTEXT = (
    ("-c --ctx-size --ctx_size", "N", "int", "n_ctx", 512, "context of all slots together; 0: what the model was trained for"),
    ("-np --parallel", "N", "int", "n_parallel", 1, "slots: requests that are answered side by side, 1 to 64"),
    ("-cb --cont-batching", "", "on", "cont_batching", True, "continuous batching; always on"),
    ("-b --batch-size", "N", "int", "n_batch", 2048, "tokens that are handed over at once"),
    ("-ub --ubatch-size", "N", "int", "n_ubatch", 512, "tokens that are computed at once; 0: as --batch-size"),
    ("-n --n-predict", "N", "int", "n_predict", -1, "most tokens of any answer; -1: no limit"),
    ("-gan --grp-attn-n", "N", "int", "grp_attn_n", 1, "self-extend: positions that share one; 1: off"),
    ("-gaw --grp-attn-w", "N", "int", "grp_attn_w", 512, "self-extend: width of the group, a multiple of --grp-attn-n"),
    ("--rope-scaling", "none|linear|yarn", "choice", "rope_scaling", None, "how positions are stretched (default: the model's)"),
    ("--rope-freq-base", "F", "float", "rope_freq_base", 0.0, "base of the rotation frequencies; 0: the model's"),
    ("--rope-freq-scale", "F", "float", "rope_freq_scale", 0.0, "factor on positions; 0: the model's"),
    ("--yarn-ext-factor", "F", "float", "yarn_ext_factor", -1.0, "YaRN: share of extrapolation; below 0: 1 with yarn, else 0"),
    ("--yarn-attn-factor", "F", "float", "yarn_attn_factor", 1.0, "YaRN: factor on the attention's magnitude"),
    ("--yarn-beta-slow", "F", "float", "yarn_beta_slow", 1.0, "YaRN: rotations below which positions are interpolated"),
    ("--yarn-beta-fast", "F", "float", "yarn_beta_fast", 32.0, "YaRN: rotations above which they are extrapolated"),
    ("-dt --defrag-thold", "F", "float", "defrag_thold", -1.0, "share of holes at which the KV cache is compacted; below 0: never"),
    ("-ctk --cache-type-k", "TYPE", "str", "cache_type_k", "f16", "type of the cached keys: " + " ".join(CACHE_TYPES)),
    ("-ctv --cache-type-v", "TYPE", "str", "cache_type_v", "f16", "type of the cached values: the same"),
    ("-fa --flash-attn", "", "on", "flash_attn", False, "attention in one pass, without storing the score matrix"),
    ("--pooling", "none|mean|cls", "choice", "pooling", None, "pooling of embeddings; this build has none only"),
    ("--embedding --embeddings", "", "on", "embedding", False, "answer requests for embeddings"),
)

NETWORK = (
    ("--host", "ADDRESS", "str", "host", "127.0.0.1", "address to listen on"),
    ("--port", "N", "int", "port", 8080, "port to listen on; 0: a free one, which the log names"),
    ("--path", "DIR", "str", "public_path", "", "serve the files of this folder before anything else"),
    ("--api-key", "KEY", "list", "api_keys", None, "demand this key of all who ask; may be repeated"),
    ("--api-key-file", "FILE", "do", "api_key_file", None, "the same, one key per line"),
    ("--cors", "ORIGIN", "list", "cors", None,
     "let pages of this origin read answers; *: all; may be repeated (default: pages of this machine)"),
    ("--ssl-key-file", "FILE", "str", "ssl_key_file", "", "key (PEM) for TLS"),
    ("--ssl-cert-file", "FILE", "str", "ssl_cert_file", "", "certificate (PEM) for TLS"),
    ("-to --timeout", "SECONDS", "int", "timeout", 600, "how long a client may take to send its request, or to take in an event"),
    ("--body-limit", "MIB", "int", "body_limit", 64, "largest body of a request"),
    ("--openai-strict", "", "on", "openai_strict", False,
     "do as OpenAI does where llama.cpp differs: [DONE] after streams, 400 for bad parameters, exact finish reasons"),
)

SERVICE = (
    ("-spf --system-prompt-file", "FILE", "do", "system_prompt_file", None,
     "JSON file with the strings prompt, anti_prompt and assistant_name"),
    ("--chat-template", "NAME|JINJA", "do", "chat_template", "", "template for chats: a known name, or text (default: the model's)"),
    ("--slots-endpoint-disable", "", "off", "slots_endpoint", True, "do not answer /slots"),
    ("--metrics", "", "on", "metrics", False, "answer /metrics, for Prometheus"),
    ("--slot-save-path", "DIR", "str", "slot_save_path", "", "folder in which slots may be saved"),
    ("--log-format", "json|text", "choice", "log_format", "json", "form of the log lines on stdout"),
    ("--log-disable", "", "off", "log_file", True, "do not write llama.log"),
)

GPU = (
    ("-ngl --n-gpu-layers --gpu-layers", "N", "do", "no_gpu_layers", -1, "layers that go to the GPU"),
    ("-sm --split-mode", "none|layer|row", "do", "no_split_mode", "layer", "how a model is shared out between several GPUs"),
    ("-ts --tensor-split", "LIST", "do", "no_tensor_split", None, "share of each GPU"),
    ("-mg --main-gpu", "N", "do", "no_main_gpu", 0, "the GPU for what is not shared out"),
    ("-nkvo --no-kv-offload", "", "on", "no_kv_offload", False, "keep the KV cache off the GPU"),
)

SECTIONS = (
    ("options", GENERAL), ("model", MODELS), ("slots and context", CONTEXT), ("network", NETWORK), ("service", SERVICE),
    ("GPU (accepted with a warning: this build computes on the CPU)", GPU),
)


def rows():
    """All rows, in order."""
    return [row for _, section in SECTIONS for row in section]
