"""InternLM2: q, k and v in groups, one k and v for some heads of q."""

from llamacy.convert.errors import ConvertError
from llamacy.convert.hf.base import Model

END_OF_TURN = (b"<|im_end|>", b"[UNUSED_TOKEN_145]")


class InternLM2(Model):
    arch = "internlm2"
    vocabularies = ("internlm2",)

    def keys(self):
        yield "general.name", "InternLM2"
        yield "context_length", self.number("max_position_embeddings")
        yield "block_count", self.n_layers
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.freq_base", self.real("rope_theta")
        yield "attention.head_count", self.n_heads
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps")
        yield "attention.head_count_kv", self.n_heads_kv

    def special(self, found, vocabulary):
        """A model for dialogues, known by its folder's name, ends its turn with a token of its own."""
        if "chat" in self.folder_name:
            ids = [vocabulary.texts.index(text) for text in END_OF_TURN if text in vocabulary.texts]
            if ids:
                found.ids["eos"] = ids[0]

    def rearranged(self):
        for name, tensor in self.source():
            if not name.endswith(".attention.wqkv.weight"):
                yield name, tensor
                continue
            start = name.removesuffix("wqkv.weight")
            for part in ("q", "k", "v"):
                yield f"{start}w{part}.weight", self._part(tensor, part)

    def _part(self, tensor, part):
        """The rows of q, k or v of (groups, heads of q + 2, d, n_embd); q and k from the order of halves to pairs."""
        groups, n = self.n_heads_kv, self.n_heads // self.n_heads_kv
        d, width = tensor.shape[0] // (groups * (n + 2)), tensor.shape[1]
        if tensor.shape[0] != groups * (n + 2) * d or d % 2:
            raise ConvertError(f"{tensor.origin}: {tensor.shape[0]} rows, expected {groups} groups of {n} + 2 heads")
        rows = {"q": slice(0, n), "k": slice(n, n + 1), "v": slice(n + 1, n + 2)}[part]
        count = groups * (rows.stop - rows.start) * d
        if part == "v":
            return tensor.rearranged(lambda a: a.reshape(groups, n + 2, d, width)[:, rows], (count, width))
        return tensor.rearranged(
            lambda a: a.reshape(groups, n + 2, 2, d // 2, width)[:, rows].swapaxes(2, 3), (count, width)
        )
