"""``eagle-node man``: the manual page, made from the command line's grammar (man(7))."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from eagle_node import __version__
from eagle_node.cli.exits import Exit
from eagle_node.cli.grammar import Command, Flag, grammar
from eagle_node.cli.texts import EXIT_CODES
from eagle_node.config.load import FILE_VARIABLE
from eagle_node.config.options import ENVIRONMENT_PREFIX


def man(_: argparse.Namespace) -> Exit:
    """Print the page."""
    from eagle_node.cli.parser import build_parser

    print(page(grammar(build_parser())), end="")
    return Exit.OK


def page(root: Command) -> str:
    """``eagle-node(1)`` in roff."""
    first = root.description.partition(":")[0].rstrip(".")
    lines = [
        f'.TH EAGLE\\-NODE 1 "" "eagle\\-node {_text(__version__)}" "User Commands"',
        ".SH NAME",
        f"eagle\\-node \\- {_text(' '.join(first.split()).lower())}",
        ".SH SYNOPSIS",
        ".B eagle\\-node",
        r"\fICOMMAND\fR [\fIOPTION\fR ...]",
        ".SH DESCRIPTION",
        *_paragraph(root.description),
        ".SH COMMANDS",
    ]
    for command in root.commands:
        for each in command.walk():
            lines += _command(each)
    lines += [".SH ENVIRONMENT", *_environment(), ".SH EXIT STATUS", *_exit_codes()]
    return "\n".join([*lines, ""])


def _command(command: Command) -> Iterator[str]:
    words = " ".join(["eagle-node", *command.path])
    arguments = "".join(f" \\fI{_text(each)}\\fR" for each in command.arguments)
    yield f'.SS "{_text(words)}"'
    yield f"\\fB{_text(words)}\\fR{arguments}" + (" \\fIACTION\\fR" if command.commands else "")
    yield ".PP"
    yield from _paragraph(command.description)
    heading = ""
    for flag in command.flags:
        if flag.names == ("-h", "--help"):
            continue
        if flag.heading != heading:
            heading = flag.heading
            yield ".PP"
            yield f"\\fI{_text(heading)}\\fR"
        yield from _flag(flag)
    own = command.epilog.partition("exit codes:\n")[0].strip()
    if own:
        yield ".PP"
        yield ".nf"
        yield from (_text(line) for line in own.splitlines())
        yield ".fi"


def _flag(flag: Flag) -> Iterator[str]:
    value = f" \\fI{_text(flag.metavar)}\\fR" if flag.metavar else ""
    value = value if flag.needs_value or not value else f" [{value.strip()}]"
    yield ".TP"
    yield ", ".join(f"\\fB{_text(name)}\\fR" for name in flag.names) + value
    yield _text(flag.help)


def _environment() -> Iterator[str]:
    yield ".TP"
    yield f"\\fB{_text(FILE_VARIABLE)}\\fR"
    yield _text("The configuration file, when --config does not name one.")
    yield ".TP"
    yield f"\\fB{_text(ENVIRONMENT_PREFIX)}\\fR\\fIOPTION\\fR"
    yield _text(
        "Each option of run: --upload-limit is EAGLE_NODE_UPLOAD_LIMIT. A flag wins over it, and "
        "it over the file."
    )


def _exit_codes() -> Iterator[str]:
    for line in EXIT_CODES.strip().splitlines()[1:]:
        code, _, meaning = line.strip().partition(" ")
        yield ".TP"
        yield f"\\fB{code}\\fR"
        yield _text(meaning.strip() + (" (run: stopped by SIGTERM)" if code == "0" else ""))


def _paragraph(text: str) -> Iterator[str]:
    yield from (_text(line) for line in text.splitlines())


def _text(text: str) -> str:
    """Text that roff prints as it is: no line of it is a request, hyphens can be searched for.

    Three dots stand for an ellipsis, which no ASCII terminal has.
    """
    escaped = text.replace("…", "...")
    escaped = escaped.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    escaped = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in escaped)
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
