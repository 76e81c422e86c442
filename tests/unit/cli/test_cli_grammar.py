"""Completion and manual are made of the parser, so they cannot lack what it has."""

from __future__ import annotations

import pytest

from eagle_node.cli.completion import SHELLS
from eagle_node.cli.grammar import grammar
from eagle_node.cli.man import page
from eagle_node.cli.parser import build_parser
from eagle_node.config.options import OPTIONS

ROOT = grammar(build_parser())


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_every_script(shell: str) -> None:
    """Whatever the parser takes is offered."""
    text = SHELLS[shell](ROOT)
    for command in ROOT.walk():
        assert command.name in text
        for flag in command.flags:
            assert flag.names[-1].removeprefix("--") in text


def test_the_manual_has_every_command_and_option() -> None:
    """With its help text, its default included."""
    text = page(ROOT).replace("\\-", "-").replace("\\(dq", '"')
    for command in ROOT.walk():
        if command.path:
            assert f'.SS "eagle-node {" ".join(command.path)}"' in text
            assert command.summary
    for option in OPTIONS.values():
        assert option.flag in text
        assert option.help in text


def test_choices_are_words_and_not_forms() -> None:
    """``text|json`` are values to offer; ``auto|LIST`` is not, and FILE is a file."""
    (run,) = [each for each in ROOT.commands if each.name == "run"]
    flags = {flag.names[-1]: flag for flag in run.flags}
    assert flags["--log-format"].choices == ("text", "json")
    assert flags["--role"].choices == ()
    assert flags["--config"].takes_file
    assert not flags["--only-configured"].needs_value
