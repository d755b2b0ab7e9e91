"""Man pages, made from the table of tools.

    llamacy man main | man -l -
"""

import sys

from .. import __version__
from .tools import BY_NAME, TOOLS


def main(argv):
    """Print the page of the tool that is named; return the exit status."""
    name = argv[1] if len(argv) == 2 else ""
    if name not in BY_NAME and name != "llamacy":
        sys.stderr.write(f"usage: {argv[0]} llamacy|{'|'.join(BY_NAME)}\n")
        return 1
    sys.stdout.write(page(name))
    return 0


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def page(name):
    """The page (str, roff) of a tool, or of llamacy as a whole."""
    return overview() if name == "llamacy" else tool_page(BY_NAME[name])


def overview():
    parts = [head("llamacy", "LLaMA-family language models from the command line"), ".SH SYNOPSIS\n.B llamacy\n.I TOOL\n[arguments]\n",
             ".SH DESCRIPTION\n", text("All tools under one name. Each also stands alone: in the source folder as ./main and so on, "
                                       "after an installation as llamacy-main and so on."), ".SH TOOLS\n"]
    parts += [f".TP\n.B {word(tool.name)}\n{text(tool.summary)}" for tool in TOOLS]
    parts.append(".SH ENVIRONMENT\n.TP\n.B LLAMACY_CPU\n" + text("the most capable instruction set that may be used: reference, avx2, "
                                                                 "avx512, ...; without it the best one that the CPU has"))
    return "".join(parts) + see_also([tool.name for tool in TOOLS])


def tool_page(tool):
    parts = [head(f"llamacy-{tool.name}", tool.summary), f".SH SYNOPSIS\n.B llamacy {word(tool.name)}\n{text(tool.synopsis)}",
             f".SH DESCRIPTION\n{text(tool.about)}"]
    sections = tool.sections()
    if sections:
        parts.append(".SH OPTIONS\n")
    for title, flags in sections:
        parts.append(f".SS {word(title[:1].upper() + title[1:])}\n" if len(sections) > 1 else "")
        parts += map(entry, flags)
    parts.append(".SH EXAMPLES\n")
    parts += [f".TP\n{word(what)}\n.nf\n{text(command)}.fi\n" for command, what in tool.examples]
    parts.append(f".SH EXIT STATUS\n{text('0 if all went well, 1 after a message on stderr, 128 + n after signal n.')}")
    return "".join(parts) + see_also(["llamacy", *(other.name for other in TOOLS if other is not tool)])


def head(name, summary):
    return f'.TH {name.upper()} 1 "" "llamacy {__version__}"\n.SH NAME\n{word(name)} \\- {word(summary)}\n'


def entry(flag):
    names = ", ".join(f"\\fB{word(name)}\\fR" for name in flag.names)
    value = f" \\fI{word(flag.value)}\\fR" if flag.value else ""
    default = f" (default: {flag.default})" if flag.default and "(default:" not in flag.help else ""
    return f".TP\n{names}{value}\n{text(flag.help + default)}"


def see_also(names):
    return ".SH SEE ALSO\n" + ",\n".join(f".BR {word(n if n == 'llamacy' else 'llamacy-' + n)} (1)" for n in names) + "\n"


def word(sentence):
    """Nothing in it is markup."""
    return sentence.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("'", "\\(aq")


def text(sentence):
    """A line of running text: it does not begin with what roff takes for a request."""
    line = word(sentence)
    return ("\\&" if line[:1] in (".", "'") else "") + line + "\n"
