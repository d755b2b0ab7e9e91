"""`convert-hf-to-gguf`: a GGUF file of a model of Hugging Face's classes."""

import os
import sys

from ..convert import checkpoint, llama
from ..convert.errors import ConvertError
from ..convert.hf.convert import metadata, open_model
from ..convert.jsonfile import load
from ..convert.metadata import Metadata
from ..convert.output import Output
from .convert_options import hf_parser
from .convert_run import byteorder, guarded, write


def main(argv):
    """Run `convert-hf-to-gguf` with the words of a command line (argv[0] is its name); return the exit status."""
    return guarded("convert-hf-to-gguf.py", _convert, hf_parser().parse_args(argv[1:]))


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def _convert(args, log):
    log.logger = "hf-to-gguf"
    if not os.path.isdir(args.model):
        raise ConvertError(f"{args.model} is not a directory")
    if args.awq_path is not None:
        raise ConvertError("--awq-path: scales of AWQ are not supported")
    log.info(f"Loading model: {os.path.basename(os.path.abspath(args.model))}")
    config = load(os.path.join(args.model, "config.json"))
    opened = checkpoint.nothing(args.model) if args.vocab_only else checkpoint.open_all(args.model, log)
    return convert_model(args, opened, config, args.outtype, log)


def convert_model(args, opened, config, outtype, log):
    """Convert a checkpoint by its class; outtype: a key of llama.OUTTYPES. Returns the exit status."""
    model = open_model(opened, config, llama.OUTTYPES[outtype][1], log)
    log.info("Set model parameters")
    if getattr(args, "no_vocab", False):
        made, vocabulary = Metadata(), None
        model.metadata(made)
        made.add("tokenizer.ggml.model", "str", "no_vocab")
    else:
        made, vocabulary = metadata(model, log)
    items = [] if args.vocab_only else model.items()
    path = args.outfile or os.path.join(opened.folder, f"ggml-model-{outtype}.gguf")
    log.info(f"Exporting model to '{path}'")
    return write(args, Output(path, made, items, byteorder(args)), opened.paths, vocabulary, log)
