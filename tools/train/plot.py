"""The loss curve: python tools/train/plot.py OUT/log.csv loss.png."""

import sys

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def main(log, image):
    seconds, _, tokens, share, loss = np.loadtxt(log, delimiter=",", unpack=True)
    figure, axes = pyplot.subplots(figsize=(7, 4), dpi=100)
    axes.plot(tokens / 1e6, loss, color="tab:blue", label="loss (nats per token)")
    axes.plot(tokens / 1e6, share, color="tab:grey", linewidth=0.8, label="share of the full learning rate")
    axes.set(xlabel="million tokens", ylim=(0, 4), title=f"{seconds[-1] / 60:.0f} minutes of training")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(image, metadata={"Software": None})


if __name__ == "__main__":
    main(*sys.argv[1:3])
