"""All tools, with what their pages, man pages and completions are made of. Their flags come from the tables of the parsers."""


class Tool:
    """name: as a command.  program: how it is called in this folder.  summary: a line.  synopsis: what follows the name

    about     sentences for the man page.  examples: (command, what it does)
    sections  () -> [(title, [Flag])]
    """

    def __init__(self, name, program, summary, synopsis, about, examples, sections):
        self.name, self.program, self.summary, self.synopsis = name, program, summary, synopsis
        self.about, self.examples, self.sections = about, examples, sections

    @property
    def module(self):
        """Name of its module in this package."""
        return {"convert-hf-to-gguf": "convert_hf"}.get(self.name, self.name.replace("-", "_"))

    @property
    def flags(self):
        return [flag for _, flags in self.sections() for flag in flags]


class Flag:
    """names: all spellings.  value: what the values are called, "" for none.  default: as the user would write it, "" for none"""

    def __init__(self, names, value, default, help):
        self.names, self.value, self.default, self.help = names, value, default, help

    @property
    def choices(self):
        """The words that the value may be; empty: it is free."""
        if self.value.startswith("TYPE") and "f32 f16" in self.help:
            return self.help.partition(": ")[2].split()
        words = self.value.split("|")
        return words if len(words) > 1 and all(word.replace("_", "").isalnum() and not word.isupper() for word in words) else []

    @property
    def takes_file(self):
        return self.value.split(" ")[0] in ("FILE", "FILE,FILE...", "DIR")


def of_rows(rows):
    """Rows in the form of options.py -> flags."""
    from .help import shown_default
    return [Flag(row[0].split(), row[1], shown_default(row), row[5]) for row in rows]


def of_parser(parser):
    """The options of an ArgumentParser -> flags."""
    found = []
    for action in parser._actions:
        if action.option_strings:
            value = "" if action.nargs == 0 else "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
            help = "print this text and exit" if action.dest == "help" else action.help.partition(" (default: %(default)s)")[0]
            default = str(action.default) if value and action.default not in (None, "==SUPPRESS==") else ""
            found.append(Flag(action.option_strings, value, "" if action.dest == "concurrency" else default, help))
    return found


def table(module, *names):
    """() -> sections, read from `module` when they are needed; names: of its tables of rows, and their titles."""
    def sections():
        found = __import__(f"{__package__}.{module}", fromlist=["*"])
        return [(title, of_rows(getattr(found, name))) for name, title in names]
    return sections


def of_main():
    from . import options
    return [(title, of_rows(rows)) for title, _, rows in options.SECTIONS]


def of_server():
    from . import server_options
    return [(title, of_rows(rows)) for title, rows in server_options.SECTIONS]


def of_quantize():
    from .quantize_options import OPTIONS
    return [("options", [Flag([name], value, "", text) for name, value, _, _, text in OPTIONS])]


def of_convert():
    from .convert_options import parser
    return [("options", of_parser(parser()))]


def of_convert_hf():
    from .convert_options import hf_parser
    return [("options", of_parser(hf_parser()))]


def of_llama_bench():
    from .llama_bench_params import shown_rows
    return [("options", of_rows(shown_rows()))]


def of_tokenize():
    return [("options", [Flag(["-h", "--help"], "", "", "print this text and exit"), Flag(["--ids"], "", "", "print the numbers alone")])]


Q4 = "models/7B/ggml-model-q4_0.gguf"

TOOLS = (
    Tool("main", "./main", "text from a model: one prompt, a dialogue, an instruction", "[options]",
         "The text goes to stdout and nothing else does; the log goes to stderr. The exit status is 0 only if the run succeeded.",
         ((f"./main -m {Q4} -p 'Once upon a time' -n 128", "continue a text"),
          (f"./main -m {Q4} -n 256 --temp 0 -p 'The first person on the moon'", "always the same text"),
          (f"./main -m {Q4} -c 2048 --color -ins -f prompts/alpaca.txt", "give instructions"),
          (f"./main -m {Q4} --color -i -r 'User:' -f prompts/chat-with-bob.txt", "talk"),
          (f"./main -m {Q4} -n 128 -j '{{\"type\": \"object\"}}'", "an answer in JSON"),
          (f"./main -m {Q4} -f long.txt -n 64 --prompt-cache long.cache", "quick the second time")), of_main),
    Tool("server", "./server", "the model behind HTTP: llama.cpp's API and OpenAI's", "[options]",
         "Answers on http://127.0.0.1:8080 until it is told to end. The log goes to stdout, what the loader says to stderr.",
         ((f"./server -m {Q4} -c 4096 -np 4", "four requests at a time, 1024 tokens each"),
          ("curl localhost:8080/completion -d '{\"prompt\": \"Once\", \"n_predict\": 32}'", "ask it"),
          (f"./server -m {Q4} --host 0.0.0.0 --api-key SECRET", "for other machines, with a key")), of_server),
    Tool("quantize", "./quantize", "a model with smaller weights", "[options] INPUT.gguf [OUTPUT.gguf] TYPE [NTHREADS]",
         "Reads an F16, F32 or BF16 model and writes it with weights of TYPE. The output is there whole or not at all.",
         ((f"./quantize models/7B/ggml-model-f16.gguf {Q4} q4_0", "4 bits and a half per weight"),
          ("./quantize --dry-run M-f16.gguf q4_K_M", "what would become of each tensor, and the size"),
          ("./quantize --imatrix M.imatrix M-f16.gguf M-iq2_xs.gguf iq2_xs", "below 3 bits, with an importance matrix")),
         of_quantize),
    Tool("convert", "python3 convert.py", "a checkpoint to GGUF: Llama and its kin", "[options] MODEL",
         "MODEL is the folder of a Hugging Face, PyTorch or Meta checkpoint, or one of its files. No code in it is run.",
         (("python3 convert.py llama-2-7b/", "a GGUF file beside the model"),
          ("python3 convert.py Meta-Llama-3-8B-hf/ --vocab-type bpe", "Llama 3"),
          ("python3 convert.py llama-2-7b/ --outtype q8_0 --outfile llama-2-7b-q8_0.gguf --verify", "checked afterwards")),
         of_convert),
    Tool("convert-hf-to-gguf", "python3 convert-hf-to-gguf.py", "a checkpoint to GGUF: all of Hugging Face's classes", "[options] MODEL",
         "MODEL is the folder of the model; config.json names its class. No code in it is run.",
         (("python3 convert-hf-to-gguf.py gpt2/ --outtype f16", "a GGUF file in the folder"),), of_convert_hf),
    Tool("imatrix", "./imatrix", "an importance matrix: which weights matter to a text", "-m MODEL -f TEXT [-o FILE] [options]",
         "All flags of main are understood as well. The perplexity of the text so far is on stdout.",
         (("./imatrix -m M-f16.gguf -f text.txt -o M.imatrix", "read a text"),
          ("./imatrix --combine a.imatrix,b.imatrix -o both.imatrix", "add up two")),
         table("imatrix_params", ("OPTIONS", "options"))),
    Tool("gguf-split", "./gguf-split", "a model in several files, or in one again", "[options] GGUF_IN GGUF_OUT",
         "Tensors are copied byte for byte. Files that exist are not overwritten; after a failure none of the run's is left.",
         (("./gguf-split --split-max-size 4G MODEL.gguf PREFIX", "parts of at most 4 GiB"),
          ("./gguf-split --merge PREFIX-00001-of-00002.gguf MODEL.gguf", "one file of all parts")),
         table("gguf_split_options", ("OPTIONS", "options"))),
    Tool("tokenize", "./tokenize", "the tokens of a text", "MODEL_PATH PROMPT [--ids]",
         "Only the vocabulary of the model is read. One token a line, on stdout.",
         (("./tokenize MODEL.gguf 'Hello world'", "numbers and texts"),), of_tokenize),
    Tool("llama-bench", "./llama-bench", "tokens per second of a model on this machine", "[options]",
         "Each combination of the values is measured: a prompt is read, then tokens are generated. The table goes to stdout.",
         ((f"./llama-bench -m {Q4}", "a prompt of 512 tokens, 128 generated ones"),
          (f"./llama-bench -m {Q4} -t 1,2,4 -o csv", "more threads, for a program"),
          (f"./llama-bench -m {Q4} --plot speed.png", "beside what the machine could do")), of_llama_bench),
    Tool("doctor", "./doctor", "what this machine has for models, and what to expect of it", "[options]",
         "Looks at the CPU, memory and its limits, GPU libraries and packages, and measures for two seconds.",
         (("./doctor", "for people"), ("./doctor --json", "for programs")), table("doctor", ("OPTIONS", "options"))),
    Tool("completions", "bin/llamacy completions", "completion of flags for a shell", "bash|zsh|fish",
         "Prints a script for the shell.", (("eval \"$(bin/llamacy completions bash)\"", "in this shell"),), list),
    Tool("man", "bin/llamacy man", "the man page of a tool", "TOOL",
         "Prints the page in roff.", (("bin/llamacy man main | man -l -", "read it"),), list),
)
BY_NAME = {tool.name: tool for tool in TOOLS}
