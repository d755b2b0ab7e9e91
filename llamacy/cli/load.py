"""From `params` to a model and its contexts, with the messages that go with it."""

import os

from ..errors import LlamacyError
from . import bundled
from .log import write_stderr

# Settings that the engine calls as the command line does.
SAME_NAME = ("n_ctx", "n_batch", "n_ubatch", "n_threads", "flash_attn", "rope_freq_base", "rope_freq_scale",
             "rope_scaling", "yarn_orig_ctx", "yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow",
             "defrag_thold", "seed")


class LoadError(LlamacyError):
    """The model cannot be used. The reason is in the log by now; this is the last line."""

    def __init__(self):
        super().__init__("unable to load model")


def load(params, log):
    """(model, context, context for guidance or None), with overrides, adapters and control vectors in place.

    Errors  LoadError.
    """
    model, context = load_model(params, log)
    return model, context, _context(model, params, log) if params.sampling.cfg_scale > 1 else None


def load_model(params, log):
    """(model, context). Errors  LoadError."""
    model = _model(params, log)
    context = _context(model, params, log)
    if params.control_vectors:
        _add_control_vectors(context, params)
    for i, (path, scale) in enumerate(params.loras):
        _add_lora(model, path, scale, params.lora_base if i == 0 and params.lora_base else None, log)
    return model, context


def _model(params, log):
    from ..engine import Model
    bundled.settle(params, log)
    name = os.fsencode(params.model)
    try:
        _refuse_download(params)
        return Model(bundled.path(params.model), use_mmap=params.use_mmap, use_mlock=params.use_mlock,
                     check_tensors=params.check_tensors, overrides=params.overrides, log=log.tee)
    except DownloadNeeded as error:
        write_stderr(b"%s\n" % str(error).encode())
    except (LlamacyError, OSError, MemoryError) as error:
        log.tee(b"llama_model_load: error loading model: %s\n\nllama_load_model_from_file: failed to load model\n"
                % _load_reason(error, name))
    write_stderr(b"llama_init_from_gpt_params: error: failed to load model '%s'\n" % name)
    raise LoadError


class DownloadNeeded(LlamacyError):
    """The model is elsewhere. A copy that lies where the download would put it does as well."""


def _refuse_download(params):
    if os.path.exists(params.model) or not (params.hf_repo or params.model_url):
        return
    place, kind = ("Hugging Face", "hf") if params.hf_repo else ("an url", "url")
    raise DownloadNeeded(f"llama_load_model_from_{kind}: llama.cpp built without libcurl, downloading from {place} "
                         f"not supported.")


def _context(model, params, log):
    """A context as the flags describe it. Errors: LoadError."""
    try:
        return _new_context(model, params, log)
    except (LlamacyError, ValueError, OverflowError, MemoryError) as error:
        log.tee(b"llama_new_context_with_model: %s\n" % os.fsencode(str(error)))
        write_stderr(b"llama_init_from_gpt_params: error: failed to create context with model '%s'\n"
                     % os.fsencode(params.model))
        raise LoadError from None


def _new_context(model, params, log):
    from ..engine import Context
    batch_threads = params.n_threads_batch if params.n_threads_batch > 0 else params.n_threads
    return Context(model, **{name: getattr(params, name) for name in SAME_NAME}, n_threads_batch=batch_threads,
                   type_k=params.cache_type_k, type_v=params.cache_type_v, n_seq_max=max(1, params.n_parallel),
                   n_outputs=getattr(params, "n_outputs", 1), log=log.tee)


def _add_control_vectors(context, params):
    from .control import apply
    try:
        apply(context, params)
    except LlamacyError as error:
        write_stderr(b"%s\n" % os.fsencode(str(error)))
        raise LoadError from None


def _add_lora(model, path, scale, base, log):
    try:
        model.apply_lora(path, scale, base_path=base, log=log.tee)
    except (LlamacyError, OSError) as error:
        log.tee(b"llama_model_apply_lora_from_file: failed to apply lora adapter: %s\n"
                % _reason(error, os.fsencode(path)))
        write_stderr(b"llama_init_from_gpt_params: error: failed to apply lora adapter\n")
        raise LoadError from None


def _load_reason(error, name):
    """Why the model file could not be read."""
    if isinstance(error, FileNotFoundError):
        return b"llama_model_loader: failed to load model from " + name
    return _reason(error, name)


def _reason(error, name):
    if isinstance(error, OSError):
        return b"failed to open %s: %s" % (name, os.fsencode(error.strerror or str(error)))
    return os.fsencode(str(error)) or b"out of memory"
