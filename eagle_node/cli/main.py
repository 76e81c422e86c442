"""The entry point: one command, its errors as one line, its outcome as an exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence

from eagle_node.base.errors import EagleError, NoAnswer, UsageError
from eagle_node.cli.exits import Exit
from eagle_node.cli.parser import parse_arguments

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing to standard output can end with, besides a pipe that nobody reads any more."""
_NO_ANSWER = "; start one with eagle-node run, or name another with --api"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` (default: this process's arguments) names; its exit code."""
    try:
        code = _run_command(argv)
        sys.stdout.flush()
        return code
    except EagleError as error:
        return _report(error)
    except BaseExceptionGroup as group:
        known = next((each for each in _leaves(group) if isinstance(each, EagleError)), None)
        if known is None:
            raise
        return _report(known)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.FAILURE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # What is left in the buffer would be written again at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"eagle-node: cannot write the output: {error.strerror}", file=sys.stderr)
        return Exit.FAILURE


def _run_command(argv: Sequence[str] | None) -> int:
    try:
        arguments = parse_arguments(argv)
    except SystemExit:  # argparse has printed a help text; its errors are UsageErrors
        return Exit.OK
    match arguments.command:
        case "run":
            from eagle_node.cli.run import run

            return run(arguments)
        case "status":
            from eagle_node.cli.status import show_status

            return show_status(arguments)
        case "tui":
            from eagle_node.cli.dashboard import dashboard

            return dashboard(arguments)
        case "demo":
            from eagle_node.cli.demo import demo

            return demo(arguments)
        case "get":
            from eagle_node.cli.get import get

            return get(arguments)
        case "preheat":
            from eagle_node.cli.preheat import preheat

            return preheat(arguments)
        case "keys":
            from eagle_node.cli.keys import keys

            return keys(arguments)
        case "completion":
            from eagle_node.cli.completion import completion

            return completion(arguments)
        case "man":
            from eagle_node.cli.man import man

            return man(arguments)
        case "doctor":
            from eagle_node.cli.doctor import doctor

            return doctor(arguments)
        case "mirror":
            from eagle_node.cli.mirror import mirror

            return mirror(arguments)
        case "ca":
            from eagle_node.cli.ca import ca

            return ca(arguments)
        case _:
            from eagle_node import __version__

            if arguments.json:
                python = ".".join(map(str, sys.version_info[:3]))
                print(json.dumps({"version": __version__, "python": python}))
            else:
                print(f"eagle-node {__version__}")
            return Exit.OK


def _report(error: EagleError) -> int:
    way_out = _NO_ANSWER if isinstance(error, NoAnswer) else ""
    print(f"eagle-node: {error}{way_out}", file=sys.stderr)
    return Exit.USAGE if isinstance(error, UsageError) else Exit.FAILURE


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
