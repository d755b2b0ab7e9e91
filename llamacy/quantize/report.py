"""What a run says: a line per tensor, sums, and on a terminal how far it is."""

from time import perf_counter

from llamacy.gguf.types import TYPES

MIB = 1024.0 * 1024.0
REDRAW = 0.1             # seconds between two drawings of the progress line
CLEAR = "\r\x1b[K"


def head(number, total, step):
    """The start of a tensor's line, up to where its conversion begins."""
    tensor = step.tensor
    sizes = ", ".join(f"{n:5d}" for n in (*tensor.ne, 1, 1, 1)[:4])
    text = f"[{number:4d}/{total:4d}] {tensor.name:>36s} - [{sizes}], type = {TYPES[tensor.type].name:>6s}, "
    text += "".join(f"\n{notice}\n" for notice in step.notices)
    return text + f"converting to {TYPES[step.target].name} .. " if step.converts else text


def tail(step):
    """The rest of the line."""
    if not step.converts:
        return f"size = {step.nbytes / MIB:8.3f} MB\n"
    return f"size = {step.tensor.nbytes / MIB:8.2f} MiB -> {step.nbytes / MIB:8.2f} MiB\n"


def totals(plan):
    """The lines after the last tensor."""
    before = sum(step.tensor.nbytes for step in plan.steps)
    after = sum(step.nbytes for step in plan.steps)
    text = f"llama_model_quantize_internal: model size  = {before / MIB:8.2f} MB\n" \
           f"llama_model_quantize_internal: quant size  = {after / MIB:8.2f} MB\n"
    if plan.n_fallback:
        text += f"llama_model_quantize_internal: WARNING: {plan.n_fallback} of {plan.n_blocks256} tensor(s) required " \
                "fallback quantization\n"
    return text


def size(plan, file_bytes):
    """How large the output is, metadata and all, and how much of it a weight takes."""
    bits = 8.0 * sum(step.nbytes for step in plan.steps) / max(1, plan.n_elements)
    return f"{file_bytes / MIB:.2f} MiB ({file_bytes} bytes), {bits:.2f} bits per weight"


class Report:
    """The lines of a run, through `write` (called with str). live: a terminal, which also gets a progress line."""

    def __init__(self, write, plan, live=False):
        self.write = write
        self.plan = plan
        self.live = live
        self._number = 0
        self._done = 0                   # elements
        self._total = max(1, plan.n_elements)
        self._start = perf_counter()
        self._drawn = 0.0

    def begin(self, step):
        self._number += 1
        if not self.live:                # in a pipe or a file at once, so that a reader sees what is being done
            self.write(head(self._number, len(self.plan.steps), step))

    def progress(self, step, n_elements):
        """`n_elements` more of the tensor are done."""
        self._done += n_elements
        now = perf_counter()
        if not self.live or now - self._drawn < REDRAW:
            return
        self._drawn = now
        rate = self._done / max(1e-6, now - self._start)
        left = int((self._total - self._done) / max(rate, 1.0))
        self.write(f"{CLEAR}{100 * self._done // self._total:3d}% - {rate / 1e6:.1f} M weights/s - "
                   f"{left // 60}:{left % 60:02d} left - {step.tensor.name}")

    def end(self, step):
        start = CLEAR + head(self._number, len(self.plan.steps), step) if self.live else ""
        self.write(start + tail(step))

    def broken_off(self):
        """The run ends in the middle of a line."""
        self.write(CLEAR if self.live else "\n" if self._number else "")
