"""Writes unicode_data.pxi: what the tokenizers must know of Unicode 15.0, as run-length coded C tables.

    python -m llamacy.vocab.generate_unicode          (needs: pip install unicodedata2==15.0.0)

The tables stay at 15.0, whatever Python runs llamacy: the reference cuts text by them, and a letter that was assigned
later must go on being cut as an unassigned code point.
"""

from itertools import groupby
from pathlib import Path

import unicodedata2

VERSION = "15.0.0"
# General categories; "--": surrogates and U+FEFF, which have none here.
CATEGORIES = ("Nd Nl No Ll Lm Lo Lt Lu Zl Zp Zs Mc Me Mn Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Cc Cf Cn Co --").split()
END = 0x110000
HANGUL = range(0xAC00, 0xD7A4)  # syllables; the reference does not take them apart

HEAD = '''# Written by generate_unicode.py from Unicode {version}. Do not edit.
cdef extern from *:
    """
    /* First code point of a run of one category << 5 | the category, an index into the generator's CATEGORIES. */
    static const uint32_t category_runs[{n_categories}] = {{
{category_runs}
    }};
    /* Simple lower case: every `step` code points from `first` to `last` become themselves + `delta`. */
    typedef struct {{ uint32_t first, last, step; int32_t delta; }} lower_run;
    static const lower_run lower_runs[{n_lower}] = {{
{lower_runs}
    }};
    /* Code points with a canonical decomposition, and where the run begins in first_of_nfd. */
    typedef struct {{ uint32_t first, last, index; }} nfd_run;
    static const nfd_run nfd_runs[{n_nfd}] = {{
{nfd_runs}
    }};
    /* The first code point of each one's full decomposition. */
    static const uint32_t first_of_nfd[{n_nfd_firsts}] = {{
{nfd_firsts}
    }};
    """
    ctypedef struct lower_run:
        uint32_t first, last, step
        int32_t delta
    ctypedef struct nfd_run:
        uint32_t first, last, index
    const uint32_t category_runs[]
    const lower_run lower_runs[]
    const nfd_run nfd_runs[]
    const uint32_t first_of_nfd[]

cdef enum:
    N_CATEGORY_RUNS = {n_categories}
    N_LOWER_RUNS = {n_lower}
    N_NFD_RUNS = {n_nfd}
'''


def category(c):
    """Index into CATEGORIES."""
    if 0xD800 <= c < 0xE000 or c == 0xFEFF:
        return CATEGORIES.index("--")
    return CATEGORIES.index(unicodedata2.category(chr(c)))


def category_runs():
    start = 0
    for value, run in groupby(map(category, range(END))):
        yield start << 5 | value
        start += len(list(run))


def lower_runs():
    """[first, last, step, delta]: neighbours with the same delta, one or two apart."""
    runs = []
    for c in range(END):
        delta = ord(chr(c).lower()[0]) - c  # the first code point of the full mapping is the simple one
        if not delta:
            continue
        run = runs[-1] if runs and runs[-1][3] == delta else None
        if run and c - run[1] == run[2] or run and run[0] == run[1] and c - run[1] == 2:
            run[1], run[2] = c, c - run[1]
        else:
            runs.append([c, c, 1, delta])
    return runs


def nfd_runs():
    """([first, last, index], the first code points of the decompositions in order)"""
    runs, firsts = [], []
    for c in range(END):
        full = chr(c) if 0xD800 <= c < 0xE000 or c in HANGUL else unicodedata2.normalize("NFD", chr(c))
        if full == chr(c):
            continue
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c, len(firsts)])
        firsts.append(ord(full[0]))
    return runs, firsts


def lines(items, width=116):
    """`items` separated by commas, in lines that end with one."""
    line = " " * 4
    for item in items:
        if len(line) + len(item) + 1 > width:
            yield line
            line = " " * 4
        line += item + ","
    yield line


def numbers(values):
    return "\n".join(lines([format(value, "#x") for value in values]))


def structs(rows):
    return "\n".join(lines(["{%s}" % ",".join(hex(n) if n > 99 else str(n) for n in row) for row in rows]))


def main():
    if unicodedata2.unidata_version != VERSION:
        raise SystemExit(f"unicodedata2 knows Unicode {unicodedata2.unidata_version}, expected {VERSION}")
    categories, lower, (nfd, firsts) = list(category_runs()), lower_runs(), nfd_runs()
    Path(__file__).with_name("unicode_data.pxi").write_text(HEAD.format(
        version=VERSION, n_categories=len(categories), n_lower=len(lower), n_nfd=len(nfd),
        n_nfd_firsts=len(firsts), category_runs=numbers(categories), lower_runs=structs(lower), nfd_runs=structs(nfd),
        nfd_firsts=numbers(firsts)))


if __name__ == "__main__":
    main()
