"""Which files make a checkpoint, and how the tensors in them join.

Source  convert.py of llama.cpp b2794. Differs: an index file is looked at, and a missing part is an error; no part is
        read twice; a repository that has a Hugging Face and a Meta copy is read as the former.
"""

import os
import re

from llamacy.convert import safetensors, torchzip
from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.files import map_whole
from llamacy.convert.jsonfile import load_if_there
from llamacy.convert.tensor import join

SAFETENSORS = (r"model-00001-of-\d+\.safetensors", r"model\.safetensors", r"consolidated\.safetensors")
TORCH = (r"consolidated\.00\.pth", r"pytorch_model-00001-of-\d+\.bin", r".*\.pt", r"pytorch_model\.bin")
INDEXES = {".safetensors": "model.safetensors.index.json", ".bin": "pytorch_model.bin.index.json"}
MAX_HEADER = 100_000_000  # a first number above this is no safetensors header


class Checkpoint:
    """paths: in the order in which their tensors count. format: safetensors, torch or none. tensors: by name."""

    def __init__(self, paths, format, tensors, folder):
        self.paths = paths
        self.format = format
        self.tensors = tensors
        self.folder = folder


def nothing(folder):
    """A checkpoint of which only the vocabulary is wanted: no file of weights is opened."""
    return Checkpoint([], "none", {}, folder)


def open_one(path, log):
    """One file, as it is."""
    format, tensors = _read(path, log)
    return Checkpoint([path], format, tensors, os.path.dirname(path) or ".")


def open_all(path, log):
    """The checkpoint in a folder, or the one that a file is a part of. Errors  ConvertError, OSError."""
    paths = _expand(_choose(path, log)) if os.path.isdir(path) else _expand(path)
    folder = os.path.dirname(paths[0]) or "."
    _check_count(paths)
    read = [_read(each, log) for each in paths]
    formats = {format for format, _ in read}
    if len(formats) > 1:
        raise ConvertError(f"{folder}: some parts are safetensors, some torch files: expected one format")
    checkpoint = Checkpoint(paths, formats.pop(), _merge(paths, [tensors for _, tensors in read]), folder)
    _check_index(checkpoint)
    return checkpoint


# --- names of files

def _choose(folder, log):
    """The first file of the one model in a folder."""
    names = sorted(os.listdir(folder))
    for patterns in (SAFETENSORS, TORCH):
        found = [name for pattern in patterns for name in names if re.fullmatch(pattern, name)]
        if len(found) == 2 and found[1] == "consolidated.safetensors":
            log.info(f"{folder}: reading {found[0]}; {found[1]} is another copy of the model")
            found.pop()
        if len(found) > 1:
            raise ConvertError(f"{folder}: found several models, name one of them: {', '.join(found)}")
        if found:
            return os.path.join(folder, found[0])
    raise ConvertError(f"{folder}: no model in this folder: expected model.safetensors, model-00001-of-N.safetensors, "
                       "pytorch_model.bin, pytorch_model-00001-of-N.bin, consolidated.00.pth or one *.pt")


def _expand(path):
    """All parts of the model that a file belongs to; it is the first unless others are numbered before it."""
    found = []
    while (part := _part(path, len(found))) is not None:
        found.append(part)
    return list(dict.fromkeys(found)) or [path]


def _part(path, i):
    """Part i if it exists, else None. Names with a number count from 0 (.pth) or 1; others get .1, .2, ..."""
    folder, name = os.path.split(path)
    candidates = [re.sub(r"\.\d\d\.pth$", f".{i:02}.pth", name), re.sub(r"-\d{5}-of-(.*)$", rf"-{i:05}-of-\1", name)]
    candidates = [each for each in candidates if each != name or _is_part(name, i)]
    for each in [*candidates, name if i == 0 else f"{name}.{i}"]:
        if os.path.exists(os.path.join(folder, each)):
            return os.path.join(folder, each)
    return None


def _is_part(name, i):
    """True if the number in the name is i."""
    numbers = re.findall(r"\.(\d\d)\.pth$|-(\d{5})-of-", name)
    return bool(numbers) and any(text and int(text) == i for text in numbers[0])


def _check_count(paths):
    """Errors  ConvertError: names that say of how many parts they are, and some are missing."""
    folder, name = os.path.split(paths[0])
    if match := re.search(r"-\d{5}-of-(\d{5})\.", name):
        for i in range(1, int(match[1]) + 1):
            part = re.sub(r"-\d{5}-of-", f"-{i:05}-of-", name)
            if not os.path.exists(os.path.join(folder, part)):
                raise ConvertError(f"{os.path.join(folder, part)}: this part of the model is missing")
    elif re.search(r"\.\d\d\.pth$", name):
        stem = re.escape(name[:-len("00.pth")])
        there = [each for each in os.listdir(folder or ".") if re.fullmatch(stem + r"\d\d\.pth", each)]
        if len(there) != len(paths):
            raise ConvertError(
                f"{folder or '.'}: {len(there)} parts {name[:-len('00.pth')]}*.pth, but their numbers have "
                f"a gap after {len(paths)}"
            )


def _check_index(checkpoint):
    """Errors  ConvertError: the index beside the parts names a tensor that none of them has."""
    name = INDEXES.get(os.path.splitext(checkpoint.paths[0])[1])
    if name is None or len(checkpoint.paths) == 1:
        return
    index = load_if_there(os.path.join(checkpoint.folder, name)) or {}
    names = index.get("weight_map")
    for name in names if isinstance(names, dict) else ():
        if name not in checkpoint.tensors:
            raise ConvertError(f"{checkpoint.folder}: the index names a tensor that no part has: {shorten(name)}")


# --- files

def _read(path, log):
    """(format, tensors) of one file, recognised by its first bytes."""
    whole = map_whole(path)
    log.info(f"Loading model file {path}")
    if whole[:2] == b"PK":
        return "torch", torchzip.read(path)
    if whole[:4] == b"GGUF":
        raise ConvertError(f"{path}: this is a GGUF file already")
    if len(whole) >= 8 and int.from_bytes(whole[:8], "little") <= MAX_HEADER:
        return "safetensors", safetensors.read(path)
    if whole[0] == 0x80:
        raise ConvertError(
            f"{path}: a pickle without an archive, as PyTorch wrote before 1.6: load it there and save it again"
        )
    raise ConvertError(
        f"{path}: unknown format: found {bytes(whole[:8]).hex(' ')}, expected a zip archive or safetensors"
    )


# --- tensors

def _merge(paths, parts):
    if len(parts) == 1:
        return parts[0]
    if any("model.embed_tokens.weight" in part for part in parts) or not _are_slices(parts):
        merged = {}
        for part in parts:
            merged.update(part)
        return merged
    dim = parts[0]["norm.weight"].shape[0] if "norm.weight" in parts[0] else None
    for path, part in zip(paths, parts):
        for name in parts[0].keys() ^ part.keys():
            raise ConvertError(f"{path}: tensor {shorten(name)} is not in all parts of the model")
    return {name: _merge_slices(name, [part[name] for part in parts], dim) for name in parts[0]}


def _are_slices(parts):
    """True for parts that have tensors in common: slices of them for machines that work in parallel."""
    return bool(parts[0].keys() & parts[1].keys()) or "tok_embeddings.weight" in parts[0]


def _merge_slices(name, slices, dim):
    """One tensor of the slices that tensor parallel training leaves. dim: the width of the model, if it is known."""
    first = slices[0]
    if len(first.shape) == 1:
        return first
    axis = 0
    if name.startswith("tok_embeddings."):
        axis = 0 if first.shape[-1] == dim else 1           # Llama 3 divides the vocabulary, Llama 1 and 2 the width
    elif name.endswith((".attention.wo.weight", ".feed_forward.w2.weight")):
        axis = 1
    for other in slices:
        same = other.shape[:axis] + other.shape[axis + 1:] == first.shape[:axis] + first.shape[axis + 1:]
        if len(first.shape) != 2 or not same or other.dtype != first.dtype:
            raise ConvertError(
                f"tensor {shorten(name)}: a slice of {other.dtype} {list(other.shape)} does not fit one of "
                f"{first.dtype} {list(first.shape)}"
            )
    return join(slices, axis)
