"""The flags of `main`: one row each, and the only list of them. Parser, --help, docs/main.md and tests read it.

A row is (names, value, kind, field, default, help):
    names     all spellings, the first is the one in documents; `_` in a word that starts with `--` counts as `-`
    value     what the value is called in --help; empty: the flag takes none; two words: it takes two values
    kind      int, seed, float    a number as C reads it (strto.py)
              str, bytes          any word; bytes where it is text for the model
              on, off             no value: sets the field to True or False
              choice              one of the words in `value`, which | separates
              help, version       prints it and ends
              do                  calls actions.<field>, which takes the values it needs
              note                accepted without effect; says so on stderr
    field     the attribute of Params that is set; `sampling.x` is an attribute of Params.sampling
    default   what holds without the flag; None or an empty string where nothing does
    help      one sentence, without the default: that is added

Row order is the order in --help. Nothing is computed here: the table is one constant, ready when the file is loaded.
"""

MODEL = "models/7B/ggml-model-f16.gguf"
SAMPLERS = "top_k;tfs_z;typical_p;top_p;min_p;temperature"
CACHE_TYPES = ("f32", "f16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")

GENERAL = (
    ("-h --help", "", "help", "", None, "print this text and exit"),
    ("--version", "", "version", "", None, "print build number and compiler and exit"),
    ("-s --seed", "N", "do", "seed", -1, "seed of the random numbers; -1: another one each time"),
    ("-t --threads", "N", "do", "threads", None,
     "threads while generating; 0 or less: all logical CPUs (default: one per physical core)"),
    ("-tb --threads-batch", "N", "do", "threads_batch", None,
     "threads while reading the prompt; 0 or less: all logical CPUs (default: as --threads)"),
    ("--numa", "distribute|isolate|numactl", "do", "numa", None,
     "how threads are placed on a machine with several NUMA nodes"),
)

MODELS = (
    ("-m --model", "FILE", "str", "model", "",
     "GGUF file; the first of a split set is enough (default: " + MODEL + ", else bundled)"),
    ("-mu --model-url", "URL", "str", "model_url", "",
     "address to fetch the model from (needs a build that can download)"),
    ("-hfr --hf-repo", "REPO", "str", "hf_repo", "",
     "repository on Hugging Face to fetch from (needs a build that can download)"),
    ("-hff --hf-file", "FILE", "str", "hf_file", "", "file in that repository"),
    ("-a --alias", "NAME", "str", "alias", "unknown", "name of the model in records of the run"),
    ("--no-mmap", "", "off", "use_mmap", True, "read the weights into memory instead of mapping the file"),
    ("--mlock", "", "on", "use_mlock", False, "keep the weights in RAM: no swapping, no compression"),
    ("--check-tensors", "", "on", "check_tensors", False,
     "look for NaN, Inf and bad scales in all weights while loading"),
    ("--override-kv", "KEY=TYPE:VALUE", "do", "override_kv", None,
     "replace a metadata entry of the model; TYPE is int, float, bool or str; may be repeated"),
    ("--lora", "FILE", "do", "lora", None, "apply a LoRA adapter (turns mmap off); may be repeated"),
    ("--lora-scaled", "FILE SCALE", "do", "lora_scaled", None, "the same, multiplied by SCALE"),
    ("--lora-base", "FILE", "str", "lora_base", "",
     "compute the changes of the first adapter from the weights of this model"),
    ("--control-vector", "FILE", "do", "control_vector", None, "add a control vector; may be repeated"),
    ("--control-vector-scaled", "FILE SCALE", "do", "control_vector_scaled", None, "the same, multiplied by SCALE"),
    ("--control-vector-layer-range", "START END", "do", "control_vector_layer_range", None,
     "layers that get the control vectors, both ends included (default: 1 to the last)"),
)

PROMPT = (
    ("-p --prompt", "TEXT", "bytes", "prompt", b"", "text to start from"),
    ("-f --file", "FILE", "do", "file", None,
     "add the text of a file to the prompt; one newline at the end is dropped"),
    ("-bf --binary-file", "FILE", "do", "binary_file", None, "take a file, byte for byte, as the prompt"),
    ("-e --escape", "", "on", "escape", False, r"read \n, \r, \t, \', \", \\ and \xHH in all texts as escapes"),
    ("--random-prompt", "", "on", "random_prompt", False, "start from one of ten words that the seed chooses"),
    ("-i --interactive", "", "on", "interactive", False, "talk with the model: text goes back and forth"),
    ("-if --interactive-first", "", "on", "interactive_first", False, "the same, and the user begins"),
    ("-ins --instruct", "", "on", "instruct", False, "the same, each input framed as an Alpaca instruction"),
    ("-cml --chatml", "", "on", "chatml", False, "the same, each input framed as a ChatML turn"),
    ("-cnv --conversation", "", "on", "conversation", False, "the same as --interactive-first"),
    ("-no-cnv --no-conversation", "", "off", "conversation", False, "the opposite: this is how it is anyway"),
    ("-st --single-turn", "", "on", "single_turn", False, "one turn of the user, one answer, then the end"),
    ("-r --reverse-prompt", "TEXT", "do", "reverse_prompt", None,
     "when the output ends with TEXT: stop, or ask the user if interactive; may be repeated"),
    ("--in-prefix", "TEXT", "bytes", "input_prefix", b"", "put TEXT before each input of the user"),
    ("--in-suffix", "TEXT", "bytes", "input_suffix", b"", "put TEXT after each input of the user"),
    ("--in-prefix-bos", "", "on", "input_prefix_bos", False,
     "put the BOS token before each input of the user, before the prefix"),
    ("--multiline-input", "", "on", "multiline_input", False,
     r"an input goes on over lines until one ends with \ or /"),
    ("--simple-io", "", "on", "simple_io", False, "plain lines in and out, for pipes and simple consoles"),
    ("--color", "", "on", "use_color", False, "colours for the prompt and for what the user types"),
    ("--verbose-prompt", "", "on", "verbose_prompt", False, "print the tokens of the prompt before starting"),
    ("--no-display-prompt", "", "off", "display_prompt", True, "do not repeat the prompt in the output"),
    ("-ptc --print-token-count", "N", "int", "token_print_count", -1,
     "report the context's use every N tokens; -1: never"),
)

GENERATION = (
    ("-n --n-predict", "N", "int", "n_predict", -1, "tokens to generate; -1: no limit, -2: until the context is full"),
    ("-c --ctx-size", "N", "int", "n_ctx", 512, "context in tokens; 0: what the model was trained for"),
    ("-b --batch-size", "N", "int", "n_batch", 2048, "tokens of a prompt that are handed over at once"),
    ("-ub --ubatch-size", "N", "int", "n_ubatch", 512,
     "tokens of a prompt that are computed at once; 0: as --batch-size"),
    ("--keep", "N", "int", "n_keep", 0, "tokens of the prompt that stay when the context is full; -1: all"),
    ("--ignore-eos", "", "on", "ignore_eos", False, "never choose the end-of-sequence token"),
    ("-gan --grp-attn-n", "N", "int", "grp_attn_n", 1, "self-extend: positions that share one; 1: off"),
    ("-gaw --grp-attn-w", "N", "int", "grp_attn_w", 512, "self-extend: width of the group, a multiple of --grp-attn-n"),
    ("--cfg-negative-prompt", "TEXT", "bytes", "cfg_negative_prompt", b"", "guidance: text to lead away from"),
    ("--cfg-negative-prompt-file", "FILE", "do", "cfg_negative_prompt_file", None,
     "add the text of a file to it; one newline at the end is dropped"),
    ("--cfg-scale", "F", "float", "sampling.cfg_scale", 1.0, "guidance: strength; 1 or less: off"),
    ("--rope-scaling", "none|linear|yarn", "choice", "rope_scaling", None,
     "how positions are stretched (default: as the model says)"),
    ("--rope-scale", "F", "do", "rope_scale", None,
     "stretch the context by this factor: the same as --rope-freq-scale 1/F"),
    ("--rope-freq-base", "F", "float", "rope_freq_base", 0.0, "base of the rotation frequencies; 0: the model's"),
    ("--rope-freq-scale", "F", "float", "rope_freq_scale", 0.0, "factor on positions; 0: the model's"),
    ("--yarn-orig-ctx", "N", "int", "yarn_orig_ctx", 0, "YaRN: context of the original model; 0: the model's"),
    ("--yarn-ext-factor", "F", "float", "yarn_ext_factor", -1.0,
     "YaRN: share of extrapolation; below 0: 1 with yarn scaling, else 0"),
    ("--yarn-attn-factor", "F", "float", "yarn_attn_factor", 1.0, "YaRN: factor on the attention's magnitude"),
    ("--yarn-beta-slow", "F", "float", "yarn_beta_slow", 1.0, "YaRN: rotations below which positions are interpolated"),
    ("--yarn-beta-fast", "F", "float", "yarn_beta_fast", 32.0, "YaRN: rotations above which they are extrapolated"),
    ("-dt --defrag-thold", "F", "float", "defrag_thold", -1.0,
     "share of holes at which the KV cache is compacted; below 0: never"),
    ("-ctk --cache-type-k", "TYPE", "str", "cache_type_k", "f16", "type of the cached keys: " + " ".join(CACHE_TYPES)),
    ("-ctv --cache-type-v", "TYPE", "str", "cache_type_v", "f16", "type of the cached values: the same"),
    ("-fa --flash-attn", "", "on", "flash_attn", False, "attention in one pass, without storing the score matrix"),
    ("--pooling", "none|mean|cls", "choice", "pooling", None, "pooling of embeddings (default: as the model says)"),
    ("--no-warmup", "", "off", "warmup", True, "accepted for later scripts: there is no empty run to leave out"),
)

SAMPLING = (
    ("--samplers", "LIST", "do", "samplers", SAMPLERS,
     "samplers in order, separated by ; (unknown names are left out)"),
    ("--sampling-seq", "LETTERS", "do", "sampling_seq", "kfypmt",
     "the same by letters: k f y p m t in the order above"),
    ("--temp", "F", "do", "temp", 0.8, "temperature; 0: always the most likely token"),
    ("--top-k", "N", "int", "sampling.top_k", 40, "keep the N most likely tokens; 0 or less: all"),
    ("--top-p", "F", "float", "sampling.top_p", 0.95,
     "keep the likeliest tokens that together reach this probability; 1: all"),
    ("--min-p", "F", "float", "sampling.min_p", 0.05,
     "drop tokens below this share of the best one's probability; 0: none"),
    ("--tfs", "F", "float", "sampling.tfs_z", 1.0, "tail-free sampling: z; 1: off"),
    ("--typical", "F", "float", "sampling.typical_p", 1.0, "locally typical sampling: p; 1: off"),
    ("--dynatemp-range", "F", "float", "sampling.dynatemp_range", 0.0,
     "the temperature varies by this much with the entropy; 0: off"),
    ("--dynatemp-exp", "F", "float", "sampling.dynatemp_exponent", 1.0, "exponent of that variation"),
    ("--repeat-last-n", "N", "do", "repeat_last_n", 64, "tokens back in which repetitions are penalised; 0: off"),
    ("--repeat-penalty", "F", "float", "sampling.penalty_repeat", 1.0,
     "divide the logit of a repeated token by this; 1: off"),
    ("--presence-penalty", "F", "float", "sampling.penalty_present", 0.0,
     "subtract this from the logit of a token that occurred; 0: off"),
    ("--frequency-penalty", "F", "float", "sampling.penalty_freq", 0.0,
     "subtract this for each time it occurred; 0: off"),
    ("--penalize-nl", "", "on", "sampling.penalize_nl", False, "let penalties count for the newline token too"),
    ("--no-penalize-nl", "", "off", "sampling.penalize_nl", False, "do not; this is how it is anyway"),
    ("--mirostat", "N", "int", "sampling.mirostat", 0,
     "1 or 2: Mirostat of that version takes the place of all samplers but the temperature; 0: off"),
    ("--mirostat-lr", "F", "float", "sampling.mirostat_eta", 0.1, "Mirostat: learning rate"),
    ("--mirostat-ent", "F", "float", "sampling.mirostat_tau", 5.0, "Mirostat: surprise to aim at"),
    ("-l --logit-bias", "ID+BIAS", "do", "logit_bias", None,
     "make a token more likely, with ID-BIAS less; ID-inf: never; may be repeated"),
    ("--grammar", "TEXT", "do", "grammar", None, "GBNF grammar that the output must follow"),
    ("--grammar-file", "FILE", "do", "grammar_file", None, "add the text of a file to the grammar"),
    ("-j --json-schema", "TEXT", "do", "json_schema", None, "JSON schema that the output must follow; {}: any JSON"),
)

SESSIONS = (
    ("--prompt-cache", "FILE", "str", "path_prompt_cache", "",
     "keep the state after the prompt in FILE, and start from there next time"),
    ("--prompt-cache-all", "", "on", "prompt_cache_all", False,
     "keep what was generated too; not for interactive runs"),
    ("--prompt-cache-ro", "", "on", "prompt_cache_ro", False, "use the file, never write it"),
    ("-ld --logdir", "DIR", "do", "logdir", None, "write a YAML record of the run into this folder"),
)

GPU = (
    ("-ngl --gpu-layers --n-gpu-layers", "N", "do", "n_gpu_layers", -1,
     "layers that go to the GPU; -1: as the build says"),
    ("-sm --split-mode", "none|layer|row", "do", "split_mode", "layer",
     "how a model is shared out between several GPUs"),
    ("-ts --tensor-split", "LIST", "do", "tensor_split", None, "share of each GPU, separated by , or /"),
    ("-mg --main-gpu", "N", "do", "main_gpu", 0, "the GPU for what is not shared out"),
    ("-nkvo --no-kv-offload", "", "on", "no_kv_offload", False, "keep the KV cache off the GPU"),
    ("-ngld --gpu-layers-draft --n-gpu-layers-draft", "N", "do", "n_gpu_layers_draft", -1,
     "layers of the draft model on the GPU"),
)

UNUSED = (
    ("-td --threads-draft", "N", "int", "n_threads_draft", -1, "threads of the draft model"),
    ("-tbd --threads-batch-draft", "N", "int", "n_threads_batch_draft", -1, "the same while reading the prompt"),
    ("-md --model-draft", "FILE", "str", "model_draft", "", "draft model"),
    ("--draft", "N", "int", "n_draft", 5, "tokens to draft"),
    ("-ps --p-split", "F", "float", "p_split", 0.1, "probability at which drafts branch"),
    ("--chunks", "N", "int", "n_chunks", -1, "chunks to process; -1: all"),
    ("-np --parallel", "N", "int", "n_parallel", 1, "sequences decoded side by side"),
    ("-ns --sequences", "N", "int", "n_sequences", 1, "sequences to decode"),
    ("-cb --cont-batching", "", "on", "cont_batching", True, "continuous batching; always on"),
    ("--mmproj", "FILE", "str", "mmproj", "", "projector of a multimodal model"),
    ("--image", "FILE", "do", "image", None, "image for a multimodal model; may be repeated"),
    ("--infill", "", "on", "infill", False, "fill a gap in code"),
    ("-dkvc --dump-kv-cache", "", "on", "dump_kv_cache", False, "show the KV cache"),
    ("-lcs --lookup-cache-static", "FILE", "str", "lookup_cache_static", "", "static cache of lookup decoding"),
    ("-lcd --lookup-cache-dynamic", "FILE", "str", "lookup_cache_dynamic", "", "dynamic cache of lookup decoding"),
    ("--save-all-logits --kl-divergence-base", "FILE", "str", "logits_file", "", "file of logits to compare with"),
    ("--ppl-stride", "N", "int", "ppl_stride", 0, "stride of the perplexity calculation"),
    ("--ppl-output-type", "N", "int", "ppl_output_type", 0, "output format of the perplexity calculation"),
    ("--hellaswag", "", "on", "hellaswag", False, "HellaSwag score of the text in the file"),
    ("--hellaswag-tasks", "N", "int", "hellaswag_tasks", 400, "tasks of it"),
    ("--winogrande", "", "on", "winogrande", False, "Winogrande score of the text in the file"),
    ("--winogrande-tasks", "N", "int", "winogrande_tasks", 0, "tasks of it; 0: all"),
    ("--multiple-choice", "", "on", "multiple_choice", False, "multiple-choice score of the text in the file"),
    ("--multiple-choice-tasks", "N", "int", "multiple_choice_tasks", 0, "tasks of it; 0: all"),
    ("--kl-divergence", "", "on", "kl_divergence", False, "divergence from the file of logits"),
    ("--perplexity --all-logits", "", "do", "refuse_perplexity", None,
     "main only points to the perplexity tool and ends"),
    ("--embedding", "", "do", "refuse_embedding", None, "main only points to the embedding tool and ends"),
)

OTHER_SPELLINGS = (
    ("--predict --n", "N", "int", "n_predict", -1, "the same as --n-predict"),
    ("--np-penalize-nl", "", "off", "sampling.penalize_nl", False, "the same as --no-penalize-nl"),
    ("--memory-f32", "", "do", "memory_f32", None, "the same as -ctk f32 -ctv f32"),
    ("-lv --low-vram", "", "note", "", None, "no effect"),
    ("-nommq --no-mul-mat-q", "", "note", "", None, "no effect"),
    ("--n-parts", "N", "note", "", None, "no effect: a GGUF model knows its parts"),
    ("--export", "", "note", "", None, "no effect"),
)

LOG = (
    ("--log-disable", "", "off", "log_enabled", True, "no log: nothing on stderr, no file"),
    ("--log-enable", "", "on", "log_enabled", True, "take --log-disable back"),
    ("--log-file", "NAME", "do", "log_file", "main", "log to NAME.log in the current folder"),
    ("--log-new", "", "on", "log_new", False, "log to a new file: NAME.THREAD.log"),
    ("--log-append", "", "on", "log_append", False, "add to the log file instead of starting it anew"),
    ("--log-test", "", "on", "log_test", False, "write a test line to each place that the log goes to"),
)

# (title, shown in --help, rows). --help starts with "options:" and ends with "log options:", then come examples.
SECTIONS = (
    ("options", True, GENERAL),
    ("model", True, MODELS),
    ("prompt and dialogue", True, PROMPT),
    ("generation and context", True, GENERATION),
    ("sampling", True, SAMPLING),
    ("sessions and records", True, SESSIONS),
    ("GPU (accepted with a warning: this build computes on the CPU)", False, GPU),
    ("accepted because other tools take them, without effect in main", True, UNUSED),
    ("old and later spellings", False, OTHER_SPELLINGS),
    ("log options", True, LOG),
)


def rows():
    """All rows, in order."""
    return [row for _, _, section in SECTIONS for row in section]
