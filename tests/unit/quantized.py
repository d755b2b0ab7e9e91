"""Quantized models for tests: the random model of 256 columns in each type, as it was when its logits were recorded."""

import subprocess

from conftest import REPO, command

MODEL = REPO / "tests" / "data" / "random-256-f16.gguf"
IMATRIX = REPO / "tests" / "golden" / "random-256-f16.imatrix"
MIXED = {"IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S"}      # --pure would need weights for the embeddings, which no imatrix has
_made = {}


def quantize(*args, cwd, check=True, **kwargs):
    """Run ./quantize; CompletedProcess."""
    done = subprocess.run([*command("quantize"), *map(str, args)], capture_output=True, cwd=cwd, timeout=120, **kwargs)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done


def quantized_model(tmp_path_factory, type):
    """Path of the random model in `type` (Q4_0, F32, ...), made once: with the imatrix, and without mixtures if possible."""
    if type not in _made:
        folder = tmp_path_factory.mktemp(f"random-256-{type}")
        pure = [] if type in MIXED else ["--pure"]
        quantize(*pure, "--imatrix", IMATRIX, MODEL, "model.gguf", type, 2, cwd=folder)
        _made[type] = folder / "model.gguf"
    return _made[type]


def write_model(path, tensors=None, *, arch="llama", alignment=32, without=(), **keys):
    """A GGUF file that quantize takes for a model of one layer: random matrices, no real vocabulary.

    tensors   {name: array, or (type number, ne, bytes)}; default: small_tensors()
    keys      further keys or other values, as key=(kind, value); `__` stands for a dot, a leading `_` for the architecture
    """
    from llamacy.gguf import GGUFWriter
    rows = {
        "general.architecture": ("str", arch), "_context_length": ("u32", 64), "_embedding_length": ("u32", 256),
        "_block_count": ("u32", 1), "_feed_forward_length": ("u32", 512), "_attention.head_count": ("u32", 4),
        "_attention.head_count_kv": ("u32", 2), "_attention.layer_norm_rms_epsilon": ("f32", 1e-5),
        "tokenizer.ggml.tokens": ("arr:str", ["a", "b\0c"])}
    rows.update({key.replace("__", "."): value for key, value in keys.items()})
    with GGUFWriter(path, alignment=alignment) as writer:
        for key, (kind, value) in rows.items():
            if key not in without:
                writer.add(arch + "." + key[1:] if key.startswith("_") else key, kind, value)
        for name, data in (small_tensors() if tensors is None else tensors).items():
            writer.add_tensor(name, *declared(data))
    return path


def declared(data):
    """(ne, type, bytes) of an array (float32, float16 or int32) or of (type, ne, bytes)."""
    if isinstance(data, tuple):
        return data[1], data[0], data[2]
    return data.shape[::-1], {"float32": 0, "float16": 1, "int32": 26}[data.dtype.name], data.tobytes()


def small_tensors(dtype="float32", layers=1):
    """{name: array} of a llama of 256 columns, each tensor with numbers of its own."""
    import numpy as np
    rng = np.random.default_rng(7)
    shapes = {"token_embd.weight": (96, 256), "output_norm.weight": (256,), "output.weight": (96, 256)}
    for i in range(layers):
        shapes.update({f"blk.{i}.{name}.weight": shape for name, shape in (
            ("attn_norm", (256,)), ("attn_q", (256, 256)), ("attn_k", (128, 256)), ("attn_v", (128, 256)),
            ("attn_output", (256, 256)), ("ffn_norm", (256,)), ("ffn_gate", (512, 256)), ("ffn_up", (512, 256)),
            ("ffn_down", (256, 512)))})
    return {name: rng.standard_normal(shape, dtype=np.float32).astype(dtype if len(shape) > 1 else "float32")
            for name, shape in shapes.items()}


def write_split(source, folder, counts):
    """The tensors of a GGUF file in several parts of so many each: m-00001-of-0000N.gguf; the path of the first."""
    from llamacy.gguf import GGUFFile, GGUFWriter
    from llamacy.gguf.split import split_name
    folder.mkdir(exist_ok=True)
    with GGUFFile(source) as gguf:
        names = iter(list(gguf.tensors))
        for no, n in enumerate(counts):
            with GGUFWriter(folder / split_name("m", no, len(counts))) as writer:
                for key in gguf.keys() if no == 0 else ():
                    writer.copy(gguf, key)
                for key, kind, value in (("no", "u16", no), ("count", "u16", len(counts)), ("tensors.count", "i32", sum(counts))):
                    writer.add(f"split.{key}", kind, value)
                for _ in range(n):
                    tensor = gguf.tensors[next(names)]
                    writer.add_tensor(tensor.name, tensor.ne, tensor.type, gguf.data(tensor.name))
    return folder / split_name("m", 0, len(counts))


def write_imatrix(path, weights, calls=2, chunks=5, dataset=b"text.txt"):
    """An importance matrix file; weights {name: array of sums}."""
    import struct
    raw = struct.pack("<i", len(weights))
    for name, values in weights.items():
        raw += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, values.size)
        raw += values.astype("<f4").tobytes()
    path.write_bytes(raw + struct.pack("<ii", chunks, len(dataset)) + dataset)
    return path
