"""One run of `main`, as its parts share it."""


class Job:
    """Filled in the order of the fields; each step reads what earlier ones left here.

    params, log, console    what was asked, where messages go, where text goes
    model, context          the engine's; guidance: room.Guidance with a second context, or None
    timings                 timings.Timings
    session                 session.Session, the prompt cache
    prompt                  prompt.Prompt
    sampler                 sampling.Sampler
    record                  record.Record for --logdir, or None
    """

    __slots__ = ("params", "log", "console", "model", "context", "guidance", "timings", "session", "prompt", "sampler",
                 "record")

    def __init__(self, params, log, console):
        self.params = params
        self.log = log
        self.console = console
        self.guidance = self.record = None
