"""What stderr and the log say about a run before its first token: prompt, modes, samplers, sizes."""

from .prompt import token_list

BANNER = b"""== Running in interactive mode. ==
 - Press Ctrl+C to interject at any time.
%s
"""
HOW_TO_END = {
    False: b""" - Press Return to return control to LLaMa.
 - To return control without starting a new line, end your input with '/'.
 - If you want to submit another line, end your input with '\\'.
""",
    True: b""" - To return control to LLaMa, end your input with '\\'.
 - To return control without starting a new line, end your input with '/'.
""",
}


def describe(job):
    """All of it, in the order that scripts know."""
    params, log = job.params, job.log
    if params.interactive:
        _modes(job)
    log.tee(b"sampling: \n%s\n" % job.sampler.params_text())
    log.tee(b"sampling order: \n%s\n" % job.sampler.order_text())
    log.tee(b"generate: n_ctx = %d, n_batch = %d, n_predict = %d, n_keep = %d\n"
            % (job.context.n_ctx, params.n_batch, params.n_predict, job.prompt.n_keep))
    if params.grp_attn_n != 1:
        log.tee(b"self-extend: n_ctx_train = %d, grp_attn_n = %d, grp_attn_w = %d\n"
                % (job.model.hparams.n_ctx_train, params.grp_attn_n, params.grp_attn_w))
    log.tee(b"\n\n")
    if params.interactive:
        log.tee(BANNER % HOW_TO_END[params.multiline_input])


def verbose_prompt(job):
    """What --verbose-prompt prints: the tokens of the prompts, and which of them stay."""
    prompt, vocab, log = job.prompt, job.prompt.vocab, job.log
    log.tee(b"\n")
    _prompt(b"prompt", job.params.prompt, prompt.tokens, vocab, log)
    if prompt.guidance is not None:
        log.tee(b"\n")
        _prompt(b"negative prompt", job.params.cfg_negative_prompt, prompt.guidance, vocab, log)
    if prompt.n_keep > vocab.main_add_bos():
        log.tee(b"main: static prompt based on n_keep: '%s'\n" % vocab.pieces(prompt.tokens[:prompt.n_keep]))
    log.tee(b"\n")


def log_prompt(job):
    """The same for the log file, and the frames of instruct and ChatML turns."""
    prompt, vocab, log = job.prompt, job.prompt.vocab, job.log
    if not log.on:
        return
    log.log(b"add_bos: %d\n" % vocab.main_add_bos())
    log.log(b"prompt: \"%s\"\n" % job.params.prompt)
    log.log(b"tokens: %s\n" % token_list(prompt.tokens, vocab))
    for name, tokens in zip((b"inp_pfx", b"inp_sfx", b"cml_pfx", b"cml_sfx"), prompt.instruct + prompt.chatml):
        log.log(b"%s: %s\n" % (name, token_list(tokens, vocab)))


def _modes(job):
    params, prompt, log = job.params, job.prompt, job.log
    log.tee(b"main: interactive mode on.\n")
    for text in params.antiprompts:
        _text(b"Reverse prompt", text, prompt.vocab.tokenize(text, False, True), job)
    if params.input_prefix_bos:
        log.tee(b"Input prefix with BOS\n")
    if params.input_prefix:
        _text(b"Input prefix", params.input_prefix, prompt.encode(params.input_prefix), job)
    if params.input_suffix:
        _text(b"Input suffix", params.input_suffix, prompt.vocab.tokenize(params.input_suffix, False, True), job)


def _text(name, text, tokens, job):
    job.log.tee(b"%s: '%s'\n" % (name, text))
    if job.params.verbose_prompt:
        _tokens(tokens, job.prompt.vocab, job.log)


def _prompt(name, text, tokens, vocab, log):
    log.tee(b"main: %s: '%s'\nmain: number of tokens in %s = %d\n" % (name, text, name, len(tokens)))
    _tokens(tokens, vocab, log)


def _tokens(tokens, vocab, log):
    for token in tokens:
        log.tee(b"%6d -> '%s'\n" % (token, vocab.piece(token)))
