"""The tokenizer: a SentencePiece BPE model, as llama's, from the corpus."""

import io
import itertools

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

import corpus


def lines(seed, n):
    for document in itertools.islice(corpus.documents(seed), n):
        for at, line in enumerate(corpus.plain(document).split("\n")):
            if line:
                yield line if at else " " + line


def train(seed, n, size):
    """The bytes of a tokenizer.model of `size` pieces, learnt from n documents.

    Learnt without the blank in front of a text, so that words at the start of a line become pieces too, and then
    given back with it, as llama's tokenizer works.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines(seed, n), model_writer=model, vocab_size=size, model_type="bpe", byte_fallback=True,
        add_dummy_prefix=False, remove_extra_whitespaces=False, normalization_rule_name="identity", split_digits=True,
        allow_whitespace_only_pieces=True, character_coverage=1.0, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        num_threads=1, minloglevel=2)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    proto.normalizer_spec.add_dummy_prefix = True
    return proto.SerializeToString(deterministic=True)
