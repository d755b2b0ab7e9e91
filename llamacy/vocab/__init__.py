"""Text to token ids and back, for every vocabulary a GGUF file can hold."""

from llamacy.vocab.vocab import Vocab

__all__ = ["Vocab"]
