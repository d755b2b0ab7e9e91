"""docs/ and what else is made from the table of tools: pages, links, man pages, completions, `llamacy`, `doctor`."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from llamacy.cli import completions, doctor, llamacy, man, pages
from llamacy.cli.tools import BY_NAME, TOOLS

ALL_FLAGS = [(tool.name, name) for tool in TOOLS for flag in tool.flags for name in flag.names]


def documents(repo):
    return sorted([*repo.glob("docs/*.md"), repo / "README.md"])


# ------------------------------------------------------------------------------------------------------------- pages


def test_pages_are_up_to_date(repo):
    for path in documents(repo):
        assert pages.rendered(path.read_text()) == path.read_text(), f"{path}: run python -m llamacy.cli.pages"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_has_a_page_with_its_flags(repo, tool):
    text = (repo / "docs" / f"{pages.PAGES.get(tool.name, tool.name)}.md").read_text()
    assert not tool.sections() or f"<!-- generated: flags of {tool.name} -->" in text
    assert all(f"`{name}`" in text for flag in tool.flags for name in flag.names)


def test_generated_parts_are_tables():
    for tool in TOOLS:
        rows = [line for line in pages.part(f"flags of {tool.name}").splitlines() if line.startswith("|")]
        assert all(row.count("|") - row.count(r"\|") == 4 for row in rows)
    with pytest.raises(KeyError):
        pages.rendered("<!-- generated: nonsense -->\n<!-- end -->\n")


def anchors(text):
    """The fragments that a forge makes of the headings."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-")
        found.add(name if name not in found else next(f"{name}-{i}" for i in range(1, 99) if f"{name}-{i}" not in found))
    return found


def test_links_lead_somewhere(repo):
    count = 0
    for path in documents(repo):
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, fragment = target.partition("#")
            place = (path.parent / file).resolve() if file else path
            assert place.exists(), f"{path.name}: {target}"
            assert not fragment or fragment in anchors(place.read_text()), f"{path.name}: {target}"
            count += 1
    assert count > 15


def test_files_that_pages_name_exist(repo):
    """`llamacy/cli/options.py` and the like in running text. Names with <, * or capitals stand for others."""
    missing = {f"{path.name}: {name}" for path in documents(repo)
               for name in re.findall(r"`((?:llamacy|kernels|tests|bin|docs)/[\w./-]+)`", path.read_text())
               if not (repo / name).exists() and not re.search(r"[A-Z]{3}", name)}
    assert not missing, missing


def test_python_examples_run(repo, tmp_path, random_256):
    (tmp_path / "model.gguf").symlink_to(random_256)
    blocks = re.findall(r"^```python\n(.*?)^```", (repo / "docs" / "python.md").read_text(), re.M | re.S)
    assert len(blocks) >= 2
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(repo)!r})\n{block}"], cwd=tmp_path,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and done.stderr == "" and done.stdout, block + done.stderr


# --------------------------------------------------------------------------------------------------------- man pages


@pytest.mark.parametrize("name", ["llamacy", *BY_NAME])
def test_man_page(name, tmp_path, capsys):
    assert man.main(["man", name]) == 0
    page = capsys.readouterr().out
    assert page.startswith(".TH ") and all(f".SH {title}\n" in page for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"))
    if not shutil.which("groff"):
        pytest.skip("groff is not installed: the page's text was compared, its rendering not")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c"], input=page.encode(), capture_output=True, timeout=60)
    text = re.sub(".\b", "", done.stdout.decode())
    assert (done.returncode, done.stderr) == (0, b"")
    if name in BY_NAME:
        for flag in BY_NAME[name].flags:
            assert f"{', '.join(flag.names)} {flag.value}".rstrip() in " ".join(text.replace("‐\n", "-").split())


def test_man_page_of_nothing(capsys):
    assert man.main(["llamacy man", "nothing"]) == 1 and "usage: llamacy man llamacy|main" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------- completions


def bash_offers(*words, folder="."):
    """What bash offers for the last of these words."""
    script = completions.script("bash") + textwrap.dedent("""
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _llamacy
        printf '%s\\n' "${COMPREPLY[@]}"
    """)
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=60, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.split("\n") if line]


needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


@needs_bash
def test_bash_offers_flags_values_and_files(tmp_path):
    (tmp_path / "a model.gguf").touch()
    assert bash_offers("./main", "--n-pre") == ["--n-predict"]
    assert bash_offers("llamacy-main", "--numa", "") == ["distribute", "isolate", "numactl"]
    assert bash_offers("/x/main", "-ctk", "q8") == ["q8_0"]
    assert bash_offers("main", "-m", "", folder=tmp_path) == ["a model.gguf"]
    assert bash_offers("main", "-n", "") == []
    assert bash_offers("llamacy", "qu") == ["quantize"]
    assert bash_offers("llamacy", "server", "--port", "") == []
    assert bash_offers("llamacy", "quantize", "--im") == ["--imatrix"]
    assert bash_offers("convert.py", "--outtype", "") == ["f32", "f16", "q8_0"]
    assert bash_offers("llamacy", "completions", "") == ["bash", "zsh", "fish"]
    assert bash_offers("quantize", "a", folder=tmp_path) == ["a model.gguf"]


@needs_bash
@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.flags], ids=lambda tool: tool.name)
def test_bash_offers_all_flags(tool):
    assert bash_offers("llamacy", tool.name, "-") == [name for flag in tool.flags for name in flag.names]


@pytest.mark.parametrize("shell", completions.SHELLS)
def test_scripts_are_sound(shell, tmp_path):
    text = completions.script(shell)
    assert "@" not in re.sub(r"\"\$@\"|\[@\]", "", text)
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed: its script was made, not read by it")
    path = tmp_path / "script"
    path.write_text(text)
    done = subprocess.run([shell, "-n", path], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_fish_offers_flags(tmp_path):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    (tmp_path / "script").write_text(completions.script("fish"))
    command = f"source {tmp_path}/script; complete -C 'main --n-pred'; complete -C 'llamacy quan'; complete -C 'main --numa i'"
    done = subprocess.run(["fish", "--no-config", "-c", command], capture_output=True, text=True, timeout=60)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["--n-predict", "quantize", "isolate"], done.stderr


def test_zsh_offers_flags(tmp_path):
    """In a pseudo terminal, because zsh completes nowhere else."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    (tmp_path / "_llamacy").write_text(completions.script("zsh"))
    script = textwrap.dedent(f"""
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z 'PS1=""; fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -D; print re""ady'
        while zpty -r z line; do [[ $line == *ready* ]] && break; done
        zpty -w -n z $'main --n-predi\\t'
        zpty -w -n z $'\\C-a: \\n'
        for i in 1 2 3 4 5 6; do zpty -r -t z line && print -r -- "$line"; sleep 0.3; done
    """)
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, timeout=60, env={**os.environ, "TERM": "dumb"})
    assert "--n-predict" in done.stdout, done.stdout + done.stderr


def test_zsh_takes_the_script_from_a_pipe(tmp_path):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    (tmp_path / "script").write_text(completions.script("zsh"))
    script = f"autoload -U compinit; compinit -u -D; source {tmp_path}/script; print $_comps[main] $_comps[llamacy-doctor]"
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("_llamacy _llamacy\n", "")


def test_completions_of_no_shell(capsys):
    assert completions.main(["llamacy completions", "csh"]) == 1 and "bash|zsh|fish" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- llamacy and doctor


def test_llamacy_lists_and_starts_tools(capfd, random_256):
    assert llamacy.main(["llamacy"]) == 1 and llamacy.main(["llamacy", "--help"]) == 0
    out = capfd.readouterr().out
    assert all(f"  {tool.name} " in out and tool.summary in out for tool in TOOLS)
    assert llamacy.main(["llamacy", "quantise"]) == 1
    assert capfd.readouterr().err == "error: unknown tool: quantise\ndid you mean quantize?\n"
    assert llamacy.main(["llamacy", "tokenize", str(random_256), "a", "--ids"]) == 0
    assert capfd.readouterr().out.split()[0] == "1"
    for tool in TOOLS:
        try:
            status = llamacy.main(["llamacy", tool.name, "--help"])
        except SystemExit as end:
            status = end.code or 0
        text = capfd.readouterr()
        assert status in (0, 1) and f"llamacy {tool.name}" in text.out + text.err or tool.program.split()[-1] in text.out


def test_python_m(repo):
    done = subprocess.run([sys.executable, "-m", "llamacy", "--version"], cwd=repo, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and re.fullmatch(r"llamacy \d+\.\d+\.\d+\n", done.stdout)


def test_doctor_quick(capsys):
    assert doctor.main(["./doctor", "--quick"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == [
        "llamacy", "Python", "CPU", "kernels", "memory", "GPU", "packages", "model"]
    assert max(map(len, out.splitlines())) < 200


def test_doctor_measures(capsys, monkeypatch):
    assert doctor.main(["./doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert all(report["speed"][name] > 0 for name in ("threads", "read_gb_s", "product_gb_s", "product_gmac_s"))
    rate = min(report["speed"]["read_gb_s"], report["speed"]["product_gb_s"]) * 1e9
    assert report["expect_7b_q4_0"]["generation_tokens_s"] == pytest.approx(rate / doctor.BYTES_7B)
    assert report["kernels"]["chosen"] in ("reference", *report["kernels"]["built"]) and report["memory"]["total"] > 1 << 28
    assert doctor.text(report).count("tokens/s") == 2


def test_doctor_sees_the_cap_on_kernels(repo):
    done = subprocess.run([sys.executable, "-m", "llamacy", "doctor", "--quick", "--json"], cwd=repo, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "LLAMACY_CPU": "reference"})
    found = json.loads(done.stdout)["kernels"]
    assert (found["chosen"], found["usable"], found["LLAMACY_CPU"]) == ("reference", [], "reference")


def test_doctor_refuses_other_words(capsys):
    assert doctor.main(["./doctor", "--fast"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: unknown argument: --fast\nusage: ./doctor [--json] [--quick]\n")
    assert doctor.main(["./doctor", "-h"]) == 0 and "--quick" in capsys.readouterr().out
