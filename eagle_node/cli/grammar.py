"""The command line as data: what completion scripts and the manual are made of."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

_FILES = ("FILE", "PATH", "DIR")
"""What stands for a value that is a file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One option."""

    names: tuple[str, ...]
    metavar: str
    """Empty: it takes no value."""
    help: str
    heading: str
    """Of its group; empty: none of its own."""
    needs_value: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it takes, when these are few."""
        words = tuple(self.metavar.split("|"))
        return words if len(words) > 1 and not any(map(_is_placeholder, words)) else ()

    @property
    def takes_file(self) -> bool:
        """Whether its value is a file's name."""
        return self.metavar in _FILES


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``eagle-node``, one of its commands, or one of a command's actions."""

    path: tuple[str, ...]
    """The words after ``eagle-node``."""
    summary: str
    description: str
    epilog: str
    flags: tuple[Flag, ...]
    arguments: tuple[str, ...]
    """Stand-ins of positional arguments."""
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        """Its own word; empty for the whole."""
        return self.path[-1] if self.path else ""

    def walk(self) -> Iterator[Command]:
        """Itself and all below, in the order of the help texts."""
        yield self
        for command in self.commands:
            yield from command.walk()


def grammar(parser: argparse.ArgumentParser, summary: str = "", *path: str) -> Command:
    """The command that ``parser`` parses."""
    flags, arguments, commands = [], [], []
    for group, action in _actions(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - no public name
            helps = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001
            for name, below in action.choices.items():
                commands.append(grammar(below, helps.get(name, ""), *path, name))
        elif action.option_strings:
            flags.append(_flag(action, group))
        else:
            arguments.append(str(action.metavar or action.dest))
    return Command(
        path=path,
        summary=summary,
        description=(parser.description or "").strip(),
        epilog=(parser.epilog or "").strip(),
        flags=tuple(flags),
        arguments=tuple(arguments),
        commands=tuple(commands),
    )


def _actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Each action with its group's heading; argparse has no public way to them."""
    for group in parser._action_groups:  # noqa: SLF001
        for action in group._group_actions:  # noqa: SLF001
            yield group.title or "", action


def _flag(action: argparse.Action, group: str) -> Flag:
    takes_value = action.nargs != 0
    return Flag(
        names=tuple(action.option_strings),
        metavar=str(action.metavar or action.dest.upper()) if takes_value else "",
        help=(action.help or "").replace("%%", "%"),
        heading="" if group in ("options", "positional arguments") else group,
        needs_value=takes_value and action.nargs != "?",
    )


def _is_placeholder(word: str) -> bool:
    """Whether a word of a metavar stands for values rather than being one."""
    return word != word.lower() or ":" in word
