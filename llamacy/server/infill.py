"""/infill: what stands between two texts. The tokens that mark them come from the model's file, or from its name."""

SPACE = 29871          # the lone blank that SPM puts before the suffix
BY_NAME = {"llama": (32007, 32008, 32009), "gemma": (67, 69, 68)}


def marks(server):
    """Ids of prefix, suffix and middle; -1: there is none."""
    vocab = server.vocab
    found = [vocab.prefix, vocab.suffix, vocab.middle]
    name = server.model.gguf.get("general.name")
    if isinstance(name, bytes) and b"code" in name.lower() and server.model.arch in BY_NAME:
        found = [id if id >= 0 else other for id, other in zip(found, BY_NAME[server.model.arch])]
    return [id if 0 <= id < vocab.n_tokens else -1 for id in found]


def infill_tokens(server, body, prompt):
    """BOS, PREFIX, text before, SUFFIX, text after, MIDDLE. Missing texts are empty."""
    vocab = server.vocab
    before, after = (body.get(name) if isinstance(body.get(name), str) else "" for name in ("input_prefix", "input_suffix"))
    prefix, suffix, middle = marks(server)
    head = vocab.tokenize(before.encode(), False, True)
    tail = vocab.tokenize(after.encode(), False, True)
    if tail[:1] == [SPACE]:
        del tail[0]
    tokens = [vocab.bos, prefix, *head, suffix, *tail, middle]
    return [id for id in tokens if id >= 0]
