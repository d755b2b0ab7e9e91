"""The picture of `llama-bench --plot`: how near prompts come to the rate of byte products, and generation to that of memory.

Needs matplotlib (`pip install llamacy[plot]`), which nothing else here does.
"""

from ..errors import LlamacyError

TEXT, GRID, BARS = "#30363d", "#d8dee4", {"prompt": "#4c72b0", "generation": "#55a868"}


def bars(results):
    """(prompts, generations): rows (label, threads, rate). Rates: multiply-adds and bytes per second.

    Each token multiplies every weight once but those of token_embd, of which it reads a row; a tied output is token_embd.
    """
    prompts, generations = [], []
    for result in results:
        case, speed = result.case, sum(result.samples_ts) / len(result.samples_ts)
        label = f"{result.values['model_type']}\n{case.name}, {case.n_threads} thread{'s' * (case.n_threads != 1)}"
        if case.n_prompt and not case.n_gen:
            prompts.append((label, case.n_threads, speed * result.active_params))
        elif case.n_gen and not case.n_prompt:
            generations.append((label, case.n_threads, speed * result.active_bytes))
    return prompts, generations


def draw(path, results):
    """Write the PNG. Errors  LlamacyError: no matplotlib, or the file cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        import sys
        raise LlamacyError(f"--plot needs matplotlib: {sys.executable} -m pip install matplotlib") from None
    from ..engine._probe import int8_rate, read_rate
    prompts, generations = bars(results)
    panels = [(rows, *how) for rows, how in (
        (prompts, ("prompt", "byte products, G/s", lambda threads: int8_rate(threads)[0])),
        (generations, ("generation", "memory read, GB/s", read_rate))) if rows]
    if not panels:
        raise LlamacyError("--plot has nothing to draw: no test was of a prompt or a generation alone")
    height = 1.2 + 0.6 * max(len(rows) for rows, *_ in panels)
    figure = Figure(figsize=(6.4 * len(panels), height), layout="constrained")
    for axes, (rows, kind, unit, limit) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        _panel(axes, rows, kind, unit, {threads: limit(threads) for threads in sorted({row[1] for row in rows})})
    try:
        figure.savefig(path, dpi=144)
    except OSError as error:
        raise LlamacyError(f"--plot {path}: {error.strerror or error}") from None


def _panel(axes, rows, kind, unit, limits):
    """One bar per row, and the limit for its number of threads as a mark."""
    for y, (_, threads, rate) in enumerate(rows):
        limit = limits[threads]
        axes.barh(y, rate / 1e9, height=0.62, color=BARS[kind])
        axes.plot([limit / 1e9] * 2, [y - 0.42, y + 0.42], color=TEXT, linewidth=2)
        axes.text(rate / 1e9, y, f" {rate / 1e9:.0f}  ({100 * rate / limit:.0f} %)", va="center", color=TEXT, fontsize=8)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.18 * max([row[2] for row in rows] + list(limits.values())) / 1e9)
    axes.set_xlabel(f"{unit}   (mark: the most this machine does)", fontsize=8, color=TEXT)
    axes.set_title(kind, loc="left", fontsize=10, color=TEXT)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=TEXT, labelsize=8)
