"""The types a user can ask for: the TYPE word of the command line.

Source  the table of quantize.cpp, llama.cpp b2794.
"""

from llamacy.gguf.types import TYPES

TENSOR_TYPES = {info.name.upper(): number for number, info in TYPES.items()}     # "Q4_K" -> 12
COPY = "COPY"


class FileType:
    """One row. name: as the user writes it. id: general.file_type. rule: the name by which the mixing rules know it.
    base: tensor type of most tensors; None for COPY. note: for the usage text."""

    __slots__ = ("name", "id", "rule", "base", "note")

    def __init__(self, name, id, base, note, rule=None):
        self.name = name
        self.id = id
        self.rule = rule or name
        self.base = base
        self.note = note

    @property
    def is_block_type(self):
        """False for F16, F32 and COPY, which know no mixing."""
        return self.base not in ("F16", "F32", None)


# Order of the usage text. A number finds the first row that has it.
FILE_TYPES = (
    FileType("Q4_0", 2, "Q4_0", "3.56G, +0.2166 ppl @ LLaMA-v1-7B"),
    FileType("Q4_1", 3, "Q4_1", "3.90G, +0.1585 ppl @ LLaMA-v1-7B"),
    FileType("Q5_0", 8, "Q5_0", "4.33G, +0.0683 ppl @ LLaMA-v1-7B"),
    FileType("Q5_1", 9, "Q5_1", "4.70G, +0.0349 ppl @ LLaMA-v1-7B"),
    FileType("IQ2_XXS", 19, "IQ2_XXS", "2.06 bpw, needs an imatrix"),
    FileType("IQ2_XS", 20, "IQ2_XS", "2.31 bpw, needs an imatrix"),
    FileType("IQ2_S", 28, "IQ2_XS", "2.5 bpw, needs an imatrix"),
    FileType("IQ2_M", 29, "IQ2_S", "2.7 bpw, needs an imatrix"),
    FileType("IQ1_S", 24, "IQ1_S", "1.56 bpw, needs an imatrix"),
    FileType("IQ1_M", 31, "IQ1_M", "1.75 bpw, needs an imatrix"),
    FileType("Q2_K", 10, "Q2_K", "2.63G, +0.6717 ppl @ LLaMA-v1-7B"),
    FileType("Q2_K_S", 21, "Q2_K", "2.16G, +9.0634 ppl @ LLaMA-v1-7B, needs an imatrix"),
    FileType("IQ3_XXS", 23, "IQ3_XXS", "3.06 bpw, needs an imatrix"),
    FileType("IQ3_S", 26, "IQ3_S", "3.44 bpw"),
    FileType("IQ3_M", 27, "IQ3_S", "3.66 bpw mix"),
    FileType("Q3_K", 12, "Q3_K", "the same as Q3_K_M", "Q3_K_M"),
    FileType("IQ3_XS", 22, "IQ3_S", "3.3 bpw"),
    FileType("Q3_K_S", 11, "Q3_K", "2.75G, +0.5551 ppl @ LLaMA-v1-7B"),
    FileType("Q3_K_M", 12, "Q3_K", "3.07G, +0.2496 ppl @ LLaMA-v1-7B"),
    FileType("Q3_K_L", 13, "Q3_K", "3.35G, +0.1764 ppl @ LLaMA-v1-7B"),
    FileType("IQ4_NL", 25, "IQ4_NL", "4.50 bpw"),
    FileType("IQ4_XS", 30, "IQ4_XS", "4.25 bpw"),
    FileType("Q4_K", 15, "Q4_K", "the same as Q4_K_M", "Q4_K_M"),
    FileType("Q4_K_S", 14, "Q4_K", "3.59G, +0.0992 ppl @ LLaMA-v1-7B"),
    FileType("Q4_K_M", 15, "Q4_K", "3.80G, +0.0532 ppl @ LLaMA-v1-7B"),
    FileType("Q5_K", 17, "Q5_K", "the same as Q5_K_M", "Q5_K_M"),
    FileType("Q5_K_S", 16, "Q5_K", "4.33G, +0.0400 ppl @ LLaMA-v1-7B"),
    FileType("Q5_K_M", 17, "Q5_K", "4.45G, +0.0122 ppl @ LLaMA-v1-7B"),
    FileType("Q6_K", 18, "Q6_K", "5.15G, +0.0008 ppl @ LLaMA-v1-7B"),
    FileType("Q8_0", 7, "Q8_0", "6.70G, +0.0004 ppl @ LLaMA-v1-7B"),
    FileType("F16", 1, "F16", "13.00G"),
    FileType("F32", 0, "F32", "26.00G"),
    FileType(COPY, 0, None, "only copy the tensors"),
)

BY_NAME = {row.name: row for row in FILE_TYPES}

# Refused without an imatrix before the model is looked at.
NEED_IMATRIX = frozenset(("IQ2_XXS", "IQ2_XS", "IQ2_S", "Q2_K_S", "IQ1_S", "IQ1_M"))


def by_id(number):
    """The first row with this id, or None."""
    return next((row for row in FILE_TYPES if row.id == number), None)
