"""Small checkpoints made by hand, sound and broken: safetensors, PyTorch's archives, tokenizers."""

import json
import struct
import zipfile

import numpy as np

DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "I64": "<i8", "I32": "<i4"}
STORAGES = {
    "F32": "FloatStorage",
    "F16": "HalfStorage",
    "BF16": "BFloat16Storage",
    "F64": "DoubleStorage",
    "I64": "LongStorage",
    "I32": "IntStorage",
}


def bf16(values):
    """The bits of float32 values as BF16, cut off."""
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


# --- safetensors

def safetensors(header, data=b"", n=None):
    """The bytes of a file. header: an object, or bytes as they are; n: the header's length if it is not its own."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if n is None else n) + raw + data


def save_safetensors(path, tensors):
    """tensors: {name: array of float32, or (dtype, array of its elements)}"""
    header, data = {}, b""
    for name, array in tensors.items():
        dtype, array = array if isinstance(array, tuple) else ("F32", array)
        raw = np.ascontiguousarray(array, DTYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    path.write_bytes(safetensors(header, data))


# --- PyTorch

def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value):
    return b"J" + struct.pack("<i", value) if -1 << 31 <= value < 1 << 31 else b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def storage(dtype, key, count=0):
    return (
        b"("
        + text("storage")
        + name("torch", STORAGES.get(dtype, dtype))
        + text(key)
        + text("cpu")
        + integer(count)
        + b"tQ"
    )


def tensor(dtype, key, shape, stride=None, offset=0):
    """The operations that put a tensor on the stack."""
    if stride is None:
        stride = [int(np.prod(shape[i + 1:])) for i in range(len(shape))]
    ordered = name("collections", "OrderedDict") + b")R"
    return (name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage(dtype, key) + integer(offset) + numbers(shape)
            + numbers(stride) + b"\x89" + ordered + b"tR")


def state_dict(entries):
    """A pickle of {name: operations}."""
    items = b"".join(text(key) + value for key, value in entries.items())
    return b"\x80\x02" + name("collections", "OrderedDict") + b")R(" + items + b"u."


def save_zip(path, pickle, data=(), place="archive", compression=zipfile.ZIP_STORED):
    """data: {key: bytes} of the storages."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{place}/data.pkl", pickle)
        for key, raw in dict(data).items():
            archive.writestr(f"{place}/data/{key}", raw)


def save_torch(path, tensors, wrap=lambda pickle: pickle):
    """As save_safetensors, in PyTorch's form."""
    entries, data = {}, {}
    for i, (key, array) in enumerate(tensors.items()):
        dtype, array = array if isinstance(array, tuple) else ("F32", array)
        entries[key] = tensor(dtype, str(i), array.shape)
        data[str(i)] = np.ascontiguousarray(array, DTYPES[dtype]).tobytes()
    save_zip(path, wrap(state_dict(entries)), data)


# --- models

LLAMA = {"architectures": ["LlamaForCausalLM"], "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2,
         "max_position_embeddings": 64, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
         "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2}


def llama(rng, config=LLAMA, bias=False):
    """Tensors of a model in Hugging Face's names, float32."""
    e, f, v = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = e // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (v, e)}
    for i in range(config["num_hidden_layers"]):
        b = f"model.layers.{i}."
        for key, rows, columns in (
            ("self_attn.q_proj", e, e),
            ("self_attn.k_proj", kv, e),
            ("self_attn.v_proj", kv, e),
            ("self_attn.o_proj", e, e),
            ("mlp.gate_proj", f, e),
            ("mlp.up_proj", f, e),
            ("mlp.down_proj", e, f),
        ):
            shapes[f"{b}{key}.weight"] = (rows, columns)
            if bias:
                shapes[f"{b}{key}.bias"] = (rows,)
        shapes[b + "input_layernorm.weight"] = shapes[b + "post_attention_layernorm.weight"] = (e,)
    shapes["model.norm.weight"] = (e,)
    shapes["lm_head.weight"] = (v, e)
    return {key: rng.standard_normal(shape, np.float32) for key, shape in shapes.items()}


def varint(n):
    raw = bytearray()
    while n > 0x7F:
        raw.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(raw) + bytes([n])


def field(number, kind, payload):
    return varint(number << 3 | kind) + (varint(len(payload)) if kind == 2 else b"") + payload


def sentencepiece(pieces):
    """A tokenizer.model of (text, score, type)."""
    return b"".join(
        field(1, 2, field(1, 2, piece.encode()) + field(2, 5, struct.pack("<f", score)) + field(3, 0, varint(kind)))
        for piece, score, kind in pieces
    )


def pieces(n):
    """<unk>, <s>, </s>, the 256 bytes, and letters up to n pieces."""
    found = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)] + [(f"<0x{i:02X}>", 0.0, 6) for i in range(256)]
    found += [(chr(0x2581 if i == 0 else 0x60 + i), -float(i), 1) for i in range(n - len(found))]
    return found[:n]


def save_model(folder, tensors, config=LLAMA, vocabulary=True):
    """A folder with config.json, model.safetensors and, if wanted, tokenizer.model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if tensors is not None:
        save_safetensors(folder / "model.safetensors", tensors)
    if vocabulary:
        (folder / "tokenizer.model").write_bytes(sentencepiece(pieces(config["vocab_size"])))
    return folder
