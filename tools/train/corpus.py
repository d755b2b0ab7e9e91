"""The corpus: an endless row of documents from one seed, in the mix that train.py learns from.

python tools/train/corpus.py N [SEED] [--marked]     N documents that are not in the training data
"""

import itertools
import random
import sys

import talk

MIX = ((talk.tale, 29), (talk.instruct, 20), (talk.alpaca, 12), (talk.chat, 16), (talk.vicuna, 14), (talk.steps, 4),
       (talk.plain, 5))
HELD_OUT = 2_000_000         # seeds from here on are never trained on


def documents(seed, mix=MIX):
    """Documents without end; the same seed, the same documents."""
    rng = random.Random(seed)
    forms, weights = zip(*mix)
    while True:
        yield rng.choices(forms, weights)[0](rng)


def plain(document):
    """A document as a reader sees it."""
    return "".join(part for part in document if part not in (talk.BOS, talk.EOS))


def marked(document):
    """The same with BOS and EOS as text, and the blanks that the tokenizer would put in front."""
    return "".join(" " + part if getattr(part, "blank", False) else part for part in document)


def ids(document, sp):
    """Token ids of a document. sp: a SentencePieceProcessor whose add_dummy_prefix is on."""
    newline = sp.encode("\n")
    for part in document:
        if part == talk.BOS:
            yield sp.bos_id()
        elif part == talk.EOS:
            yield sp.eos_id()
        elif part.blank:
            yield from sp.encode(part)
        else:
            yield from sp.encode("\n" + part)[len(newline):]


def main(words):
    show, apart = (marked, "") if "--marked" in words else (plain, "\n")
    n, seed = [*map(int, (word for word in words if word[0] != "-")), 0][:2]
    print(apart.join(show(document) + apart for document in itertools.islice(documents(HELD_OUT + seed), n)), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
