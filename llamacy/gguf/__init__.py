"""GGUF files: read (hostile input, mmap, split files) and write."""

from llamacy.gguf.reader import GGUFFile

__all__ = ["GGUFFile", "GGUFWriter"]


def __getattr__(name):
    if name == "GGUFWriter":  # loaded on demand: running a model never writes one
        from llamacy.gguf.writer import GGUFWriter
        return GGUFWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
