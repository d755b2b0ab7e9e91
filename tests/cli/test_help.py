"""--help and --version: made from the table, complete, and with the true defaults."""

import re

import pytest
from commandline import ended

from llamacy.cli import buildinfo, help, options, pages
from llamacy.cli.words import by_name

ROWS = [(title, shown, row) for title, shown, rows in options.SECTIONS for row in rows]
TEXT = help.text("./main").decode()


def entries():
    """{"-n, --n-predict N": "explanation ..."} as a reader finds them in the text."""
    found, head = {}, None
    for line in TEXT.splitlines():
        if line.startswith("  -"):
            head, explanation = (line[2:].rstrip(), "") if len(line.split("  ", 2)) < 3 else line[2:].split("  ", 1)
            found[head] = explanation.strip()
        elif line.startswith(" " * help.COLUMN):
            found[head] = f"{found[head]} {line.strip()}".strip()
    return found


def test_frame():
    lines = TEXT.split("\n")
    assert lines[:6] == [
        "",
        "usage: ./main [options]",
        "",
        "options:",
        "  -h, --help            print this text and exit",
        "  --version             print build number and compiler and exit",
    ]
    titles = [line for line in lines if line and not line.startswith(" ")][1:]
    assert titles[0] == "options:" and titles[-2:] == ["log options:", "examples:"] and lines[-1] == "" and lines[-2]


def test_examples():
    assert "\n  -n, --n-predict N     tokens to generate; -1: no limit, -2: until the context is full (default: -1)\n" \
        in TEXT
    assert "\n  -ptc, --print-token-count N\n                        report the context's use" in TEXT


def test_columns():
    for line in TEXT.splitlines():
        assert len(line) <= help.WIDTH
        assert not line.startswith("   ") or line[:help.COLUMN].isspace() and line[help.COLUMN] != " "


@pytest.mark.parametrize("title, shown, row", ROWS, ids=[row[0].split()[0] for _, _, row in ROWS])
def test_row_and_its_default_are_shown(title, shown, row):
    head = help.usage(row)
    assert (head in entries()) == shown
    if not shown:
        return
    explanation = entries()[head]
    assert explanation.startswith(row[5].partition("(default:")[0].rstrip())
    if row[1] and row[4] not in (None, "", b""):
        assert explanation.endswith(f"(default: {row[4]})")
    elif "(default:" in row[5]:
        assert "(default: " in explanation
    else:
        assert "default" not in explanation


def test_gpu_flags_are_left_out_but_documented():
    assert "-ngl" not in TEXT and "--n-gpu-layers" not in TEXT
    assert "`--n-gpu-layers`" in pages.part("flags of main")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(flag, capfdbinary):
    assert ended(capfdbinary, "-n", "3", flag, "--bad") == (0, b"", TEXT.encode())


def test_help_names_the_program_as_it_was_called():
    assert help.text("/a b/m\udcff").startswith(b"\nusage: /a b/m\xff [options]\n")


def test_version(capfdbinary):
    status, err, out = ended(capfdbinary, "--version", "--bad")
    assert (status, out) == (0, b"")
    assert re.fullmatch(r"version: 2794 \(llamacy-\d+\.\d+\.\d+\)\nbuilt with \S.* for \S+\n", err.decode())


def test_document_has_every_spelling():
    document = pages.part("flags of main")
    assert all(f"`{name}`" in document for name in by_name(options.rows()))
    assert all(line.count("|") - line.count(r"\|") == 4 for line in document.splitlines() if line.startswith("|"))


# -------------------------------------------------------------------------------------------------------- buildinfo

X86 = "processor\t: 0\nflags\t\t: fpu avx avx2 fma f16c pni ssse3 avx512f avx512vbmi avx512_vnni avx_vnni\n\nflags: x\n"
ARM = "processor\t: 0\nBogoMIPS\t: 48.00\nFeatures\t: fp asimd asimdhp i8mm\n"
NAMES = ("AVX AVX_VNNI AVX2 AVX512 AVX512_VBMI AVX512_VNNI FMA NEON ARM_FMA F16C FP16_VA WASM_SIMD BLAS SSE3 SSSE3 VSX "
         "MATMUL_INT8 LLAMAFILE").split()


@pytest.mark.parametrize("text, on", [
    (X86, "AVX AVX_VNNI AVX2 AVX512 AVX512_VBMI AVX512_VNNI FMA F16C SSE3 SSSE3"),
    (ARM, "NEON ARM_FMA FP16_VA MATMUL_INT8"), ("", ""),
])
def test_system_info(text, on, monkeypatch):
    monkeypatch.setattr(buildinfo, "_read", lambda path, limit=0: text)
    monkeypatch.setattr(buildinfo, "_cpus", lambda: {0, 1, 5})
    flags = "".join(f"{name} = {int(name in on.split())} | " for name in NAMES)
    assert buildinfo.system_info(2) == "system_info: n_threads = 2 / 3 | " + flags
    assert buildinfo.system_info(2, 3) == "system_info: n_threads = 2 (n_threads_batch = 3) / 3 | " + flags


def test_system_info_of_this_machine():
    assert re.fullmatch(r"system_info: n_threads = 1 / \d+ \| (\w+ = [01] \| ){18}", buildinfo.system_info(1))


@pytest.mark.parametrize("siblings, fast, cpus, expected", [
    (["3", "3", "c", "c"], None, 4, 2), (["1", "2", "4", "8"], None, 4, 4), (["3", "3", "c", "c"], None, 2, 1),
    (["3", "3", "c", "c", "10", "20"], "0-3", 6, 2), (["3", "3", "c", "c"], "7,9", 4, 2), ([], None, 4, 4),
    ([], None, 12, 6),
])
def test_default_threads(siblings, fast, cpus, expected, tmp_path, monkeypatch):
    for cpu, mask in enumerate(siblings):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings").write_text(mask + "\n")
    if fast:
        (tmp_path / "fast").write_text(fast + "\n")
    monkeypatch.setattr(buildinfo, "CPU_FOLDER", str(tmp_path))
    monkeypatch.setattr(buildinfo, "FAST_CORES", str(tmp_path / "fast"))
    monkeypatch.setattr(buildinfo, "_cpus", lambda: set(range(cpus)))
    assert buildinfo.default_threads() == expected


@pytest.mark.parametrize("text, numbers", [("0-3,8\n", {0, 1, 2, 3, 8}), ("5", {5}), ("", set()), ("x", set()),
                                           ("-1", set())])
def test_cpu_list(text, numbers):
    assert buildinfo.cpu_list(text) == numbers
