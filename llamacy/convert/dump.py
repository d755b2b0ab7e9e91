"""The listing of --dump and --dump-single."""

SHOWN = {
    "F16": ("F16", "float16", ["F32", "Q8_0"]),
    "F32": ("F32", "float32", ["F16", "Q8_0"]),
    "I32": ("I32", "int32", []),
    "BF16": ("BF16", "uint16", ["F32", "F16", "Q8_0"]),
}


def lines(checkpoint):
    """Yield the lines: the paths, the format, a line per tensor, unconverted and in the order of the files."""
    yield f"model_plus.paths = [{', '.join(f'PosixPath({path!r})' for path in checkpoint.paths)}]"
    yield f"model_plus.format = {checkpoint.format!r}"
    yield "model_plus.vocab = None"
    for name, tensor in checkpoint.tensors.items():
        yield f"{name}: shape={list(tensor.shape)} type={_type(tensor.dtype)}; {tensor.origin}"


def _type(dtype):
    if dtype not in SHOWN:
        return dtype
    name, stored, conversions = SHOWN[dtype]
    return f"UnquantizedDataType(name={name!r}, dtype=dtype({stored!r}), valid_conversions={conversions})"
