"""The flags of `convert` and `convert-hf-to-gguf`."""

import argparse
import os

from ..convert.choose import KINDS

TYPES = ("f32", "f16", "q8_0")
THREADS = os.cpu_count() or 1
VERIFY = "read the file back: compare checksums, and tokens with the source library"


def parser():
    """ArgumentParser of convert. Wrong usage is exit 2, as argparse has it."""
    p = argparse.ArgumentParser("convert.py", description="Make a GGUF file of a checkpoint.",
                                epilog="example: python3 convert.py llama-2-7b/ --outtype f16 --outfile llama-2-7b.gguf")
    p.add_argument("model", help="folder of the checkpoint, or one of its files")
    p.add_argument("--dump", action="store_true", help="list the tensors and convert nothing")
    p.add_argument("--dump-single", action="store_true", help="list the tensors of this one file")
    p.add_argument("--vocab-only", action="store_true", help="write the metadata and the vocabulary, no tensors")
    p.add_argument("--no-vocab", action="store_true", help="write the tensors, no vocabulary")
    p.add_argument("--outtype", choices=TYPES, help="type of the matrices (default: f16 of f16, else f32)")
    p.add_argument("--vocab-dir", metavar="DIR", help="folder of the tokenizer (default: the model's)")
    p.add_argument("--vocab-type", metavar="LIST", help=f"kinds to look for: {', '.join(KINDS)} (default: all)")
    p.add_argument("--outfile", metavar="FILE", help="the output (default: ggml-model-TYPE.gguf beside the model)")
    p.add_argument("--ctx", type=int, metavar="N", help="context of a model that does not tell its own")
    p.add_argument("--concurrency", type=int, metavar="N", default=THREADS, help="threads (default: %(default)s)")
    p.add_argument("--big-endian", action="store_true", help="write for a machine of that byte order")
    p.add_argument("--pad-vocab", action="store_true", help="fill up a vocabulary that is smaller than the model")
    p.add_argument("--skip-unknown", action="store_true", help="leave out tensors with unknown names")
    p.add_argument("--verbose", action="store_true", help="say more")
    p.add_argument("--verify", action="store_true", help=VERIFY)
    p.add_argument("--compat-b2794", action="store_true", dest="compat",
                   help="the exact bytes of llama.cpp b2794, which leaves out how text is cut (tokenizer.ggml.pre)")
    return p


def hf_parser():
    """ArgumentParser of convert-hf-to-gguf."""
    p = argparse.ArgumentParser("convert-hf-to-gguf.py", description="Make a GGUF file of a Hugging Face model.",
                                epilog="example: python3 convert-hf-to-gguf.py gpt2/ --outtype f16")
    p.add_argument("model", help="folder of the model")
    p.add_argument("--vocab-only", action="store_true", help="write the metadata and the vocabulary, no tensors")
    p.add_argument("--awq-path", metavar="FILE", help="scales of AWQ: not supported")
    p.add_argument("--outfile", metavar="FILE", help="the output (default: ggml-model-TYPE.gguf in the folder)")
    p.add_argument("--outtype", choices=TYPES[:2], default="f16", help="type of the matrices (default: %(default)s)")
    p.add_argument("--bigendian", action="store_true", dest="big_endian", help="write for a machine of that byte order")
    p.add_argument("--use-temp-file", action="store_true", help="accepted: memory is small in any case")
    p.add_argument("--model-name", metavar="NAME", help="accepted, not used")
    p.add_argument("--verbose", action="store_true", help="say more")
    p.add_argument("--verify", action="store_true", help=VERIFY)
    p.set_defaults(concurrency=THREADS)
    return p
