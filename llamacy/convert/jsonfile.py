"""JSON files of a checkpoint."""

import json
import os

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.files import read_bytes


def unique(pairs):
    """For object_pairs_hook. ValueError: a name stands twice, so that readers disagree about its value."""
    found = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"name {name!r} stands twice in an object")
        found[name] = value
    return found


def load(path):
    """The object in a file. Errors  OSError; ConvertError: not JSON, or not an object."""
    try:
        found = json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConvertError(f"{path}: not JSON: {shorten(error)}") from None
    if not isinstance(found, dict):
        raise ConvertError(f"{path}: found {type(found).__name__}, expected an object")
    return found


def load_if_there(path):
    """The object in a file, or None without that file."""
    return load(path) if os.path.exists(path) else None
