"""convert.py on a large checkpoint: time against a plain copy of its file, and the most private memory.

    python -m tests.bench convert [--gigabytes 3] [--folder /tmp] [--dtype F16] [--outtype f16 q8_0 f32]

The weights are one block of random numbers again and again, so that making the checkpoint takes no longer than writing
it. Each run comes after a copy that puts the file into the page cache, and both include writing to the disk (fsync).
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[2]
WIDTH, FEED = 4096, 11008
SIZES = {"F16": 2, "BF16": 2, "F32": 4}


def main(argv):
    parser = argparse.ArgumentParser("python -m tests.bench convert")
    parser.add_argument("--gigabytes", type=float, default=3)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--dtype", choices=SIZES, default="F16")
    parser.add_argument("--outtype", nargs="+", default=["f16", "q8_0", "f32"])
    args = parser.parse_args(argv[1:])
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        model = Path(folder, "model")
        nbytes = make_model(model, args.gigabytes, args.dtype)
        copy = copy_time(model / "model.safetensors")
        print(
            f"{args.dtype} checkpoint of {nbytes / 1e9:.2f} GB; copied in {copy:.2f} s, {nbytes / copy / 1e9:.2f} GB/s"
        )
        for outtype in args.outtype:
            seconds, peak, written = convert(model, outtype)
            print(
                f"  {outtype:5} {seconds:7.2f} s  {nbytes / seconds / 1e9:5.2f} GB/s read, "
                f"{written / 1e9:5.2f} GB written, "
                f"{copy / seconds:5.2f} x copy, {peak / 1024:4.0f} MiB private memory"
            )
    return 0


def make_model(folder, gigabytes, dtype):
    """A folder without vocabulary; returns the bytes of its file."""
    folder.mkdir()
    shapes = {"model.embed_tokens.weight": (32000, WIDTH)}
    layer = {"self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (WIDTH, WIDTH), "self_attn.v_proj": (WIDTH, WIDTH),
             "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (FEED, WIDTH), "mlp.up_proj": (FEED, WIDTH),
             "mlp.down_proj": (WIDTH, FEED), "input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,)}
    n = max(
        1,
        round((gigabytes * 1e9 / SIZES[dtype] - 32000 * WIDTH) / sum(int(np.prod(shape)) for shape in layer.values())),
    )
    shapes |= {f"model.layers.{i}.{name}.weight": shape for i in range(n) for name, shape in layer.items()}
    shapes["model.norm.weight"] = (WIDTH,)
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + int(np.prod(shape)) * SIZES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    values = np.random.default_rng(0).standard_normal(1 << 22, np.float32) * np.float32(0.02)
    block = {"F32": values, "F16": values.astype(np.float16), "BF16": (values.view(np.uint32) >> 16).astype(np.uint16)}[
        dtype
    ].tobytes()
    raw = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        for start in range(0, at, len(block)):
            file.write(block[:at - start])
    config = {
        "vocab_size": 32000,
        "hidden_size": WIDTH,
        "num_hidden_layers": n,
        "max_position_embeddings": 4096,
        "intermediate_size": FEED,
        "num_attention_heads": 32,
        "rms_norm_eps": 1e-5,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return 8 + len(raw) + at


def copy_time(path):
    best = None
    for _ in range(2):
        start = time.monotonic()
        shutil.copyfile(path, path.with_suffix(".copy"))
        with open(path.with_suffix(".copy"), "rb") as file:
            os.fsync(file.fileno())
        best = min(best or 1e9, time.monotonic() - start)
        path.with_suffix(".copy").unlink()
    return best


def convert(folder, outtype):
    """(seconds, most private memory in KiB, bytes of the output)"""
    output = folder / f"{outtype}.gguf"
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, REPO / "convert.py", folder, "--no-vocab", "--outtype", outtype, "--outfile", output],
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, private(process.pid))
        time.sleep(0.02)
    seconds = time.monotonic() - start
    assert process.returncode == 0
    written = output.stat().st_size
    output.unlink()
    return seconds, peak, written


def private(pid):
    """KiB of a process that no file backs."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)
