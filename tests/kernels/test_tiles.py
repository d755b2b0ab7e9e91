"""AMX: no machine that tests run on may have it. Its kernels run on tiles in memory (kernels/avx512amx/stand_in.h).

What every level is tested for is in test_matmul.py; here are the counts of tokens and rows around the edges of tiles, that
the stand-in minds the CPU's rules, and that the instructions are in the library and stay unused where the CPU has none.
"""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

import lcy
from levels import PLAIN, STAND_INS
from test_matmul import LONG, expected, random_weights, same_bits, worst_activations, worst_weights

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
NAME, AMX_INT8, PASS = "avx512amx", 1 << 11, 512  # the level; LCY_CPU_AMX_INT8; V_PASS of panel.h
TILES = dict(STAND_INS).get(NAME)
OWN = [fmt for fmt in lcy.FORMATS if TILES and lcy.address(TILES.matmul[fmt.type]) != lcy.address(STAND_INS[0][1].matmul[fmt.type])]

stand_in = pytest.mark.skipif(not TILES, reason="AVX-512 VNNI or build/stand-in/kernel-server is missing: make kernel-servers")
each_format = pytest.mark.parametrize("fmt", OWN, ids=lambda fmt: fmt.name.decode())
built = pytest.mark.skipif(NAME not in dict(lcy.built()), reason=f"{NAME} is not built: setup.py says why")


def any_activations(fmt, rng, tokens, n):
    """Activations of arbitrary bytes, -128 too, which a level must bear though no float becomes one."""
    packed = lcy.from_float(fmt, rng.standard_normal((tokens, n))).reshape(tokens, n // fmt.block, fmt.bytes)
    at = {"q8_0": 2, "q8_1": 4, "q8_K": 4}[fmt.name.decode()]
    q = rng.choice(np.array([-128, -127, -1, 0, 1, 127], np.int8), (tokens, n // fmt.block, fmt.block))
    q[0], q[1] = -128, 127
    packed[..., at:at + fmt.block] = q.view(np.uint8)
    if fmt.block == 256:
        sums = q.reshape(tokens, -1, 16, 16).sum(axis=-1, dtype=np.int16)
        packed[..., 260:292] = sums.view(np.uint8)
    return packed.reshape(tokens, -1)


@stand_in
def test_every_format_of_blocks_has_tiles():
    blocks = {fmt.name for fmt in lcy.FORMATS if fmt.dot and fmt.block > 1 and fmt.quantize}
    assert {fmt.name for fmt in OWN} == blocks and len(blocks) == 19


@stand_in
@each_format
def test_every_count_of_tokens(fmt):
    """Whole tiles, a last one over the one before, what is left to the level below; also after a whole pass."""
    rng, with_ = np.random.default_rng(41), lcy.lib.lcy_format_of(fmt.dot_with).contents
    n = LONG + 3 * fmt.block
    w, x = random_weights(fmt, rng, 21, n), lcy.from_float(with_, rng.standard_normal((PASS + 17, n)))
    w[7:11], x[3:7] = worst_weights(fmt, 4, n), worst_activations(with_, 4, n)
    want = expected(fmt, n, w, x)
    for tokens in [*range(1, 41), 47, 48, 49, 63, 64, 65, PASS - 1, PASS, PASS + 15, PASS + 16, PASS + 17]:
        same_bits(lcy.matmul(TILES.matmul[fmt.type], n, w, x[:tokens]), want[:tokens])


@stand_in
@each_format
def test_every_count_of_rows(fmt):
    rng, with_ = np.random.default_rng(42), lcy.lib.lcy_format_of(fmt.dot_with).contents
    n = LONG + fmt.block
    w, x = random_weights(fmt, rng, 65, n), lcy.from_float(with_, rng.standard_normal((35, n)))
    want = expected(fmt, n, w, x)
    for rows in [*range(1, 19), 31, 32, 33, 47, 48, 49, 63, 64, 65]:
        for tokens in (16, 35):
            same_bits(lcy.matmul(TILES.matmul[fmt.type], n, w[:rows], x[:tokens]), want[:tokens, :rows])


@stand_in
@each_format
def test_ends_of_the_integers(fmt):
    rng, with_ = np.random.default_rng(43), lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n in (LONG, LONG + 5 * fmt.block):
        x = any_activations(with_, rng, 33, n)
        for w in (worst_weights(fmt, 20, n), random_weights(fmt, rng, 20, n)):
            same_bits(lcy.matmul(TILES.matmul[fmt.type], n, w, x), expected(fmt, n, w, x))


# ------------------------------------------------------------------------------------------------ the stand-in's rules

RULES = """
#include "avx512amx/amx.h"
static amx_shape s = {.palette = 1, .bytes = {64, 32, 64}, .rows = {16, 16, 8}};
static int8_t a[16][32], b[8][64];
static int32_t sum[16][16];
int main(void) {
    for (int i = 0; i < 16 * 32; i++) a[0][i] = (int8_t)(7 * i), b[0][i] = (int8_t)(11 * i + 100);
    BEFORE;
    amx_configure(&s);
    amx_zero(0), amx_load(1, a, 32), amx_load(2, b, 64);
    BETWEEN;
    amx_add_unsigned(0, 1, 2), amx_add_signed(0, 1, 2), amx_store(0, sum, 64);
    AFTER;
    amx_release();
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            int want = 0;
            for (int n = 0; n < 32; n++) want += a[i][n] * (b[n / 4][4 * j + n % 4] + (uint8_t)b[n / 4][4 * j + n % 4]);
            if (sum[i][j] != want) return 1;
        }
    return 0;
}
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """status(before, between, after): how a program ends that uses three tiles and does something more."""
    if not TILES or not shutil.which("gcc"):
        pytest.skip("no stand-in, or no gcc to compile a program with it")
    folder = tmp_path_factory.mktemp("tiles")
    (folder / "rules.c").write_text(RULES)

    def status(before="", between="", after=""):
        told = [f"-D{name}={code}" for name, code in (("BEFORE", before), ("BETWEEN", between), ("AFTER", after))]
        subprocess.run(["gcc", "-DLCY_STAND_IN", "-mavx512bw", f"-I{KERNELS}", "-w", *told, "rules.c", "-o", "rules"],
                       cwd=folder, check=True)
        return subprocess.run(["./rules"], cwd=folder, capture_output=True).returncode

    return status


def test_tiles_in_memory_multiply(rules):
    assert rules() == 0


@pytest.mark.parametrize("mistake", [
    {"before": "s.palette = 0"}, {"before": "s.palette = 2"}, {"before": "s.rows[0] = 17"}, {"before": "s.bytes[2] = 65"},
    {"before": "s.rows[3] = 1"}, {"before": "s.bytes[3] = 64"}, {"before": "s.zero[13] = 1"}, {"before": "s.start_row = 1"},
    {"before": "s.rows[8] = 1, s.bytes[8] = 64"}, {"before": "amx_zero(0)"},
    {"before": "s.rows[2] = 7"}, {"before": "s.rows[1] = 15"}, {"before": "s.bytes[2] = 60"}, {"before": "s.bytes[1] = 30"},
    {"between": "amx_add_signed(0, 1, 1)"}, {"between": "amx_add_signed(0, 0, 2)"}, {"between": "amx_load(3, a, 32)"},
    {"between": "amx_release()"}, {"between": "amx_configure(&s)"}, {"after": "amx_release(), amx_store(0, sum, 64)"},
], ids=lambda mistake: " ".join(mistake.values()))
def test_what_a_cpu_refuses_ends_the_stand_in(rules, mistake):
    assert rules(**mistake) == -signal.SIGILL


# ------------------------------------------------------------------------------------------------ the real instructions


@built
def test_the_library_has_the_instructions():
    """As bytes: sums of signed codes from tiles 1 and 2, of both kinds of planes from 4 to 7, and the tiles given back."""
    code = Path(lcy.LIBRARY).read_bytes()
    tdpbssd, tdpbsud, tilerelease = b"\xc4\xe2\x6b\x5e\xc1", b"\xc4\xe2\x4a\x5e\xc4", b"\xc4\xe2\x78\x49\xc0"
    assert tdpbssd in code and tdpbsud in code and tilerelease in code


@built
def test_tiles_are_used_where_the_cpu_has_them_only():
    has = re.search(r"\bamx_int8\b", Path("/proc/cpuinfo").read_text()) is not None
    assert bool(lcy.lib.lcy_cpu_features() & AMX_INT8) == has
    assert (NAME in dict(lcy.levels())) == has
    table, needs = lcy.kernels(lcy.lib.lcy_cpu_features()), dict(lcy.built())[NAME]
    if not has:
        tiles = lcy.kernels(needs)                             # filled, and not to be called here
        assert all(lcy.address(table.matmul[fmt.type]) != lcy.address(tiles.matmul[fmt.type]) for fmt in OWN)
    assert lcy.address(PLAIN.matmul[2]) != lcy.address(table.matmul[2])
