"""`convert`: a GGUF file of a checkpoint. This file is the order of events; llamacy.convert does the work."""

import os
import sys

from ..convert import checkpoint, choose, dump, llama, params, ranks, special
from ..convert.bpe import merges_of
from ..convert.errors import ConvertError
from ..convert.hf import ROWS, model_class
from ..convert.hf.convert import architecture_of
from ..convert.jsonfile import load_if_there
from ..convert.output import Output
from .convert_hf import convert_model
from .convert_options import parser
from .convert_run import byteorder, guarded, write

NO_OUTFILE = "need --outfile if using --vocab-only"


def main(argv):
    """Run `convert` with the words of a command line (argv[0] is its name); return the exit status."""
    return guarded("convert.py", _convert, parser().parse_args(argv[1:]))


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def _convert(args, log):
    if args.no_vocab and args.vocab_only:
        raise ConvertError("--vocab-only does not make sense with --no-vocab")
    types = choose.parse_types(args.vocab_type)
    if args.dump or args.dump_single:
        opened = checkpoint.open_one(args.model, log) if args.dump_single else checkpoint.open_all(args.model, log)
        sys.stdout.write("".join(line + "\n" for line in dump.lines(opened)))
        return 0
    opened = _open(args, log)
    config = load_if_there(os.path.join(opened.folder, "config.json"))
    name = architecture_of(config or {})
    if name in ROWS and model_class(name).arch != "llama" and not args.compat:
        log.info(f"{opened.folder}: {name}, as convert-hf-to-gguf.py has it")
        if args.vocab_only and not args.outfile:
            raise ConvertError(NO_OUTFILE)
        return convert_model(args, opened, config, args.outtype or _type_of(opened), log)
    return _convert_llama(args, types, opened, log)


def _type_of(opened):
    """The type of matrices that is nearest to the source's."""
    dtypes = [tensor.dtype for tensor in opened.tensors.values() if len(tensor.shape) > 1]
    return "f16" if dtypes and dtypes[0] == "F16" else "f32"


def _open(args, log):
    """The checkpoint. A vocabulary alone needs no weights, but for the numbers that params.json does not tell."""
    config, meta = (os.path.join(args.model, name) for name in ("config.json", "params.json"))
    if args.vocab_only and (os.path.exists(config) or not os.path.exists(meta)):
        return checkpoint.nothing(args.model)
    return checkpoint.open_all(args.model, log)


def _convert_llama(args, types, opened, log):
    vocab_dir = args.vocab_dir or (args.model if os.path.isdir(args.model) else opened.folder)
    numbers = params.read(opened, ctx=args.ctx, compat=args.compat, llama3=bool(ranks.find(vocab_dir)))
    if numbers.n_ctx == params.UNKNOWN:
        return _no_context()
    if not numbers.f_norm_eps:
        raise ConvertError(f"{opened.folder}: the epsilon of the norms is 0 or missing")
    log.info(f"params = Params({numbers.text(opened.folder)})")
    vocabulary = (
        None if args.no_vocab else choose.load(vocab_dir, types, log, compat=args.compat, n_vocab=numbers.n_vocab)
    )
    found = _special(args, types, opened, vocabulary, log)
    if args.vocab_only:
        return _write_vocabulary(args, opened, numbers, vocabulary, found, log)
    log.info(
        f"Vocab info: {vocabulary.description if vocabulary else '<NoVocab for a model without integrated vocabulary>'}"
    )
    log.info(f"Special vocab info: {found.description}")
    items, outtype = llama.items(opened, numbers, args.outtype, skip_unknown=args.skip_unknown, log=log)
    path = args.outfile or os.path.join(opened.folder, f"ggml-model-{outtype}.gguf")
    log.info(f"Writing {path}, format {llama.OUTTYPES[outtype][0]}")
    if vocabulary is not None:
        vocabulary.fit(numbers.n_vocab, opened.folder, args.pad_vocab, log)
    made = llama.metadata(numbers, opened.folder, outtype, vocabulary, found)
    if vocabulary is not None:
        llama.add_special(made, vocabulary, found, log)
    return write(args, Output(path, made, items, byteorder(args)), opened.paths, vocabulary, log)


def _no_context():
    sys.stderr.write("convert.py: error: The model doesn't have a context size, and you didn't specify one with --ctx\n"
                     "Please specify one with --ctx:\n - LLaMA v1: --ctx 2048\n - LLaMA v2: --ctx 4096\n")
    return 2


def _special(args, types, opened, vocabulary, log):
    """What the files beside the model say of its tokens."""
    if vocabulary is None:
        wanted, limit = "bpe" in (types or ()), None
    else:
        wanted, limit = vocabulary.kind == "bpe", len(vocabulary)

    def merges(values, path):
        return merges_of(values, path, pairs=not args.compat)
    return special.load(opened.folder, log, merges=merges if wanted else None, limit=limit, compat=args.compat)


def _write_vocabulary(args, opened, numbers, vocabulary, found, log):
    if not args.outfile:
        raise ConvertError(NO_OUTFILE)
    made = llama.metadata(numbers, opened.folder, args.outtype, vocabulary, found)
    llama.add_special(made, vocabulary, found, log)
    return write(args, Output(args.outfile, made, [], byteorder(args)), [], vocabulary, log)
