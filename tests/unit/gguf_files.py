"""GGUF files put together by hand, right or wrong: pieces as bytes, nothing shared with the code under test."""

import struct

IDS = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "str": 8, "arr": 9, "u64": 10,
       "i64": 11, "f64": 12}
CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "B", "u64": "Q",
         "i64": "q", "f64": "d"}


def pack(codes, *values, order="<"):
    return struct.pack(order + codes, *values)


def string(text, order="<"):
    text = text.encode() if isinstance(text, str) else text
    return pack("Q", len(text), order=order) + text


def payload(kind, value, order="<"):
    return string(value, order) if kind == "str" else pack(CODES[kind], value, order=order)


def pair(key, kind, value, order="<"):
    """A key-value pair; kind "arr:i32" for arrays."""
    if not kind.startswith("arr:"):
        return string(key, order) + pack("I", IDS[kind], order=order) + payload(kind, value, order)
    elem = kind[4:]
    head = string(key, order) + pack("IIQ", IDS["arr"], IDS[elem], len(value), order=order)
    return head + b"".join(payload(elem, item, order) for item in value)


def info(name, ne, type, offset, order="<"):
    """A tensor info; ne of any length, its items may be anything that fits 64 bits."""
    dims = pack(f"I{len(ne)}Q", len(ne), *(n & (1 << 64) - 1 for n in ne), order=order)
    return string(name, order) + dims + pack("IQ", type & 0xFFFFFFFF, offset, order=order)


def header(n_tensors, n_pairs, version=3, magic=b"GGUF", order="<"):
    return magic + pack("IQQ", version, n_tensors, n_pairs, order=order)


def gguf(pairs=(), infos=(), data=b"", alignment=32, **head):
    """A whole file of `pairs` and `infos`, bytes each; the counts fit unless head has others (n_tensors, n_pairs)."""
    counts = head.pop("n_tensors", len(infos)), head.pop("n_pairs", len(pairs))
    text = header(*counts, **head) + b"".join(pairs) + b"".join(infos)
    return text + bytes(-len(text) % alignment) + data


def f32(*numbers, order="<"):
    return struct.pack(f"{order}{len(numbers)}f", *numbers)


def small(order="<", version=3):
    """Every type of value once, strings and arrays with odd contents, two tensors of 32 and 4 x 2."""
    pairs = [
        ("general.architecture", "str", "llama"), ("t.u8", "u8", 200), ("t.i8", "i8", -100), ("t.u16", "u16", 60000),
        ("t.i16", "i16", -30000), ("t.u32", "u32", 4000000000), ("t.i32", "i32", -2000000000), ("t.f32", "f32", 0.1),
        ("t.bool", "bool", 1), ("t.u64", "u64", 1 << 63), ("t.i64", "i64", -(1 << 62)), ("t.f64", "f64", -2.5),
        ("t.text", "str", 'a\\b"c\n\0 end'), ("a.str", "arr:str", ["", "\u2581x", b"\xff\0", 'q"\\']),
        ("a.f32", "arr:f32", [1.5, -0.25, 3.0]), ("a.i32", "arr:i32", [-1, 2]), ("a.u8", "arr:u8", [1, 2, 255]),
        ("a.bool", "arr:bool", [0, 1, 1]), ("a.i64", "arr:i64", [-(1 << 40)]), ("a.none", "arr:f32", []),
    ]
    infos = [info("first.weight", (32,), 0, 0, order), info("second.weight", (4, 2), 0, 128, order)]
    data = f32(*range(32), *range(8), order=order)
    return gguf([pair(*p, order) for p in pairs], infos, data, version=version, order=order)
