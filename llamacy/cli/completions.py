"""Completion of tools, flags and values for bash, zsh and fish, made from the table of tools.

    eval "$(llamacy completions bash)"                                   in this shell; in ~/.bashrc: in all
    llamacy completions zsh > ~/.zfunc/_llamacy                          with ~/.zfunc in $fpath before compinit
    llamacy completions fish > ~/.config/fish/completions/llamacy.fish
"""

import sys

from .tools import BY_NAME, TOOLS

SHELLS = ("bash", "zsh", "fish")
STANDALONE = [tool for tool in TOOLS if tool.sections is not list]     # these are commands of their own
WORDS = {"completions": SHELLS, "man": ("llamacy", *BY_NAME)}          # what follows the name of the others


def main(argv):
    """Print the script for a shell; return the exit status."""
    if argv[1:] == [] or argv[1] not in SHELLS or len(argv) > 2:
        sys.stderr.write(f"usage: {argv[0]} {'|'.join(SHELLS)}\n")
        return 1
    sys.stdout.write(script(argv[1]))
    return 0


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def script(shell):
    return {"bash": bash, "zsh": zsh, "fish": fish}[shell]()


def commands(tool):
    """The names that a shell may see a tool called by."""
    return [tool.name + (".py" if tool.name.startswith("convert") else ""), f"llamacy-{tool.name}"]


# ---- bash

BASH = """# Completion for llamacy's tools: eval "$(llamacy completions bash)"
_llamacy() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} tool=${COMP_WORDS[0]##*/} flags= words= file=
    tool=${tool#llamacy-}
    tool=${tool%.py}
    if [[ $tool == llamacy ]]; then
        if ((COMP_CWORD == 1)); then
            mapfile -t COMPREPLY < <(compgen -W '@TOOLS@' -- "$cur")
            return
        fi
        tool=${COMP_WORDS[1]}
    fi
    case $tool in
@CASES@    esac
    if [[ -n $words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [[ $file == none ]]; then
        COMPREPLY=()
    elif [[ -z $file && $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _llamacy @COMMANDS@
"""


def bash():
    cases = []
    for tool in TOOLS:
        cases.append(f"        {tool.name})\n")
        if tool.name in WORDS:
            cases.append(f"            words='{' '.join(WORDS[tool.name])}'\n            ;;\n")
            continue
        flags = tool.flags
        cases.append(f"            flags='{' '.join(name for flag in flags for name in flag.names)}'\n            case $prev in\n")
        cases += [f"                {'|'.join(flag.names)}) words='{' '.join(flag.choices)}' ;;\n" for flag in flags if flag.choices]
        cases += by_kind(flags, lambda flag: flag.takes_file, "file=yes")
        cases += by_kind(flags, lambda flag: flag.value and not flag.takes_file and not flag.choices, "file=none")
        cases.append("            esac\n            ;;\n")
    names = ["llamacy", *(name for tool in STANDALONE for name in commands(tool))]
    return (BASH.replace("@TOOLS@", " ".join(BY_NAME)).replace("@CASES@", "".join(cases)).replace("@COMMANDS@", " ".join(names)))


def by_kind(flags, wanted, does):
    names = [name for flag in flags if wanted(flag) for name in flag.names]
    return [f"                {'|'.join(names)}) {does} ;;\n"] if names else []


# ---- zsh

ZSH = """#compdef llamacy @COMMANDS@
# Completion for llamacy's tools: source it after compinit, or put it into a folder of $fpath as _llamacy
_llamacy() {
    local tool=${${service#llamacy-}%.py}
    if [[ $tool == llamacy ]]; then
        if ((CURRENT == 2)); then
            local -a tools=(
@TOOLS@            )
            _describe tool tools
            return
        fi
        tool=${words[2]}
        shift words
        ((CURRENT--))
    fi
    case $tool in
@CASES@    esac
}
if [[ $funcstack[1] == _llamacy ]]; then
    _llamacy "$@"
else
    compdef _llamacy llamacy @COMMANDS@
fi
"""


def zsh():
    cases = []
    for tool in TOOLS:
        cases.append(f"        {tool.name})\n")
        if tool.name in WORDS:
            cases.append(f"            _values word {' '.join(WORDS[tool.name])}\n            ;;\n")
            continue
        cases.append("            _arguments \\\n")
        cases += [f"                {zsh_flag(name, flag)} \\\n" for flag in tool.flags for name in flag.names]
        cases.append("                '*:file:_files'\n            ;;\n")
    tools = "".join(f"                {quoted(tool.name + ':' + tool.summary.replace(':', ' -'))}\n" for tool in TOOLS)
    names = [name for tool in STANDALONE for name in commands(tool)]
    return ZSH.replace("@TOOLS@", tools).replace("@CASES@", "".join(cases)).replace("@COMMANDS@", " ".join(names))


def zsh_flag(name, flag):
    help = flag.help
    for char in "\\[]:":
        help = help.replace(char, "\\" + char)
    action = f"({' '.join(flag.choices)})" if flag.choices else "_files" if flag.takes_file else " "
    values = "".join(f":{value.replace(':', ' ')}:{action}" for value in flag.value.split()) if flag.value else ""
    return quoted(f"*{name}[{help}]{values}")


def quoted(text):
    """As one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


# ---- fish

def fish():
    lines = ["# Completion for llamacy's tools: put it into ~/.config/fish/completions/"]
    lines += [f"complete -c llamacy -n __fish_use_subcommand -f -a {tool.name} -d {fish_quoted(tool.summary)}" for tool in TOOLS]
    for tool in TOOLS:
        inside = f"-c llamacy -n '__fish_seen_subcommand_from {tool.name}'"
        if tool.name in WORDS:
            lines.append(f"complete {inside} -f -a '{' '.join(WORDS[tool.name])}'")
        for flag in tool.flags:
            places = [inside, *(f"-c {name}" for name in commands(tool))]
            lines += [f"complete {place} {fish_flag(flag)}" for place in places]
    return "\n".join(lines) + "\n"


def fish_flag(flag):
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" if len(name) == 2 else f"-o {name[1:]}"
                     for name in flag.names)
    value = f" -x -a '{' '.join(flag.choices)}'" if flag.choices else " -r -F" if flag.takes_file else " -x" if flag.value else ""
    return f"{names}{value} -d {fish_quoted(flag.help)}"


def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
