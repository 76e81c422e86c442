"""The command line's grammar, made from the table of options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from eagle_node.base.errors import UsageError
from eagle_node.base.sizes import parse_size
from eagle_node.cli import texts
from eagle_node.cli.mirror_arguments import fill_mirror
from eagle_node.config import kinds
from eagle_node.config.load import FILE_VARIABLE, SERVICE_FILE
from eagle_node.config.options import GROUPS, OPTIONS, Option
from eagle_node.config.suggest import did_you_mean

API_VARIABLE = "EAGLE_NODE_API"
TOKEN_VARIABLE = OPTIONS["api-token-file"].variable
PROXY_VARIABLE = "EAGLE_NODE_PROXY"
DEFAULT_PROXY = "http://127.0.0.1:43002"
DEFAULT_API = "http://127.0.0.1:43003"
DEFAULT_WEB = "127.0.0.1:43080"
_SERVICE_DEFAULT = f"{SERVICE_FILE}, if it is there"
_FEW = 5
"""Words that are told all when another one was written."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` rather than exit, and keeps the names of its options."""

    def __init__(self, *, prog: str, text: texts.Text | None = None) -> None:
        super().__init__(
            prog=prog,
            description=text.description if text else None,
            epilog=text.epilog if text else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong, and where to read more."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As the library's, with what was probably meant."""
        known = list(action.choices or ())
        if known and value not in known:
            hint = did_you_mean(str(value), known) if len(known) > _FEW else ""
            hint = hint or f"; write one of {', '.join(known)}"
            raise argparse.ArgumentError(action, f"{value!r} is unknown{hint}")

    def known_flags(self) -> list[str]:
        """Every option of this command."""
        return [flag for action in self._actions for flag in action.option_strings]


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command and its arguments; `UsageError` when they are wrong.

    The namespace holds ``command`` and what that command takes.
    """
    parser, commands = _build()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        command = commands[arguments.command]
        hint = did_you_mean(unknown[0].partition("=")[0], command.known_flags())
        command.error(f"unknown argument {unknown[0]}{hint}")
    return arguments


def given_options(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """The texts of the options that were used, by option name."""
    values = vars(arguments)
    return {name: values[name] for name in OPTIONS if values.get(name) is not None}


def build_parser() -> Parser:
    """The parser of the whole command line."""
    return _build()[0]


def _build() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(prog="eagle-node", text=texts.MAIN)
    adder = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", required=True, parser_class=Parser
    )
    commands = {
        name: adder.add_parser(name, help=text.summary, text=text)
        for name, text in (
            ("run", texts.RUN),
            ("status", texts.STATUS),
            ("tui", texts.TUI),
            ("demo", texts.DEMO),
            ("get", texts.GET),
            ("preheat", texts.PREHEAT),
            ("keys", texts.KEYS),
            ("mirror", texts.MIRROR),
            ("doctor", texts.DOCTOR),
            ("ca", texts.CA),
            ("completion", texts.COMPLETION),
            ("man", texts.MAN),
            ("version", texts.VERSION),
        )
    }
    _fill_run(commands["run"])
    _fill_status(commands["status"])
    _fill_tui(commands["tui"])
    _fill_demo(commands["demo"])
    _fill_get(commands["get"])
    _fill_preheat(commands["preheat"])
    _fill_keys(commands["keys"])
    fill_mirror(commands["mirror"])
    _fill_doctor(commands["doctor"])
    _fill_ca(commands["ca"])
    commands["version"].add_argument("--json", action="store_true", help="print a JSON document")
    commands["completion"].add_argument(
        "shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish"
    )
    return parser, commands


def _fill_run(parser: Parser, *, default_file: str = "none") -> None:
    parser.usage = "%(prog)s [--config FILE] [OPTION ...]"
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"TOML file with the options' names as keys (also {FILE_VARIABLE}; "
        f"default: {default_file})",
    )
    for heading, options in GROUPS.items():
        group = parser.add_argument_group(heading)
        for option in options:
            _add_option(group, option)


def _add_option(group: argparse._ActionsContainer, option: Option) -> None:
    help_text = option.help.replace("%", "%%")
    if option.kind is kinds.SWITCH:
        group.add_argument(
            option.flag,
            dest=option.name,
            metavar=option.kind.metavar,
            action="append",
            nargs="?",
            const="true",
            help=help_text,
        )
    else:
        group.add_argument(
            option.flag,
            dest=option.name,
            metavar=option.kind.metavar,
            action="append",
            help=help_text,
        )


def _fill_doctor(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument(
        "--no-runtimes",
        action="store_true",
        help="leave container runtimes alone: no test pull through them",
    )
    _fill_run(parser, default_file=_SERVICE_DEFAULT)


def _fill_status(parser: Parser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the document of /v1/status; with --watch one line each time",
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_period,
        const=1.0,
        metavar="SECONDS",
        help="show it again and again until Ctrl-C (default: every second)",
    )
    add_api_options(parser)


def _fill_get(parser: Parser) -> None:
    parser.add_argument(
        "what", metavar="IMAGE|URL", help="an image as docker pull takes it, or a file's URL"
    )
    parser.add_argument(
        "-o", "--output", metavar="PATH", help="where it goes; - is standard output"
    )
    parser.add_argument(
        "--format",
        choices=("oci", "docker", "cache"),
        help="of an image: an OCI layout, an archive for docker load, or only the node's cache "
        "(default: oci)",
    )
    parser.add_argument(
        "--platform",
        default="",
        metavar="OS/ARCH",
        help="of an image for several, or all (default: that of this host)",
    )
    parser.add_argument("--blob", action="store_true", help="REPOSITORY@DIGEST names a blob")
    parser.add_argument(
        "--digest",
        metavar="SHA256",
        help="of a file: what it must be (default: what it was at its first fetch)",
    )
    parser.add_argument(
        "--trust-new",
        action="store_true",
        help="of a file that is not what it was at its first fetch: accept what it is now",
    )
    parser.add_argument(
        "-H",
        "--header",
        action="append",
        metavar="HEADER",
        help="'Authorization: …' for the origin",
    )
    parser.add_argument("--json", action="store_true", help="print what has come as JSON")
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help=f"the node's proxy (also {PROXY_VARIABLE}; default: {DEFAULT_PROXY})",
    )
    add_api_options(parser)


def _fill_tui(parser: Parser) -> None:
    parser.add_argument(
        "--web",
        nargs="?",
        const=DEFAULT_WEB,
        metavar="HOST:PORT",
        help=f"serve it to browsers there and print the address (default: {DEFAULT_WEB})",
    )
    parser.add_argument("--light", action="store_true", help="dark on light; key t changes it")
    add_api_options(parser)


def _period(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a period; write 0.1 to 3600 seconds")
    return seconds


def _fill_preheat(parser: Parser) -> None:
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="as docker pull takes it")
    parser.add_argument(
        "--nodes",
        default="all",
        metavar="WHICH",
        help="all, seeders, zone=NAME or N%% of all (default: all)",
    )
    parser.add_argument(
        "--platform",
        default="",
        metavar="OS/ARCH",
        help="of an image for several, or all (default: that of the node)",
    )
    parser.add_argument("--detach", action="store_true", help="begin it, and do not wait")
    parser.add_argument("--list", action="store_true", help="show the node's jobs")
    parser.add_argument("--cancel", type=_job, metavar="JOB", help="stop a job")
    parser.add_argument("--json", action="store_true", help="print the job as JSON")
    add_api_options(parser)


def add_api_options(parser: Parser) -> None:
    """The options of a command that asks a running node."""
    parser.add_argument(
        "--api",
        metavar="URL",
        help=f"the node's control API (also {API_VARIABLE}; default: {DEFAULT_API})",
    )
    parser.add_argument(
        "--api-token-file",
        metavar="PATH",
        help=f"file with the API's secret, if it asks for one (also {TOKEN_VARIABLE})",
    )


def _job(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a job; see eagle-node preheat --list")
    return int(text)


def _fill_demo(parser: Parser) -> None:
    parser.add_argument(
        "--nodes", type=_node_count, default=3, metavar="N", help="how many (default: 3)"
    )
    parser.add_argument(
        "--size",
        type=_image_size,
        default=48 << 20,
        metavar="SIZE",
        help="size of the image's layers together (default: 48M)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the directory with the nodes' data and logs"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def _fill_keys(parser: Parser) -> None:
    adder = parser.add_subparsers(
        dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser
    )
    for name, text in texts.KEY_ACTIONS.items():
        action = adder.add_parser(name, help=text.summary, text=text)
        action.add_argument("file", metavar="FILE", help="the cluster key file")
        action.add_argument(
            "--json", action="store_true", help="print the file's keys, as ids, as a JSON document"
        )
        if name in ("use", "remove"):
            action.add_argument("key", metavar="KEY", help="its id, or how that begins")
        if name == "add":
            action.add_argument(
                "--from",
                dest="source",
                metavar="FILE",
                help="add the keys of this file (default: make a new key)",
            )


def _fill_ca(parser: Parser) -> None:
    adder = parser.add_subparsers(
        dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser
    )
    for name, text in texts.CA_ACTIONS.items():
        action = adder.add_parser(name, help=text.summary, text=text)
        action.add_argument(
            "--config",
            metavar="FILE",
            help=f"the node's TOML file (also {FILE_VARIABLE}; default: {_SERVICE_DEFAULT})",
        )
        for option in ("data-dir", "intercept", "registry"):
            _add_option(action, OPTIONS[option])
        if name == "init":
            action.add_argument(
                "--replace", action="store_true", help="make a new CA in the place of the old one"
            )
            action.add_argument(
                "--unconstrained",
                action="store_true",
                help="a CA that may sign any name: whoever steals its key can impersonate every "
                "site to this host",
            )
        if name == "trust":
            action.add_argument(
                "--remove", action="store_true", help="undo it: have nothing trust the CA any more"
            )
            action.add_argument(
                "--by-hand",
                action="store_true",
                help="install nothing: the output of ca show is already where programs look",
            )


def _node_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 50:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of nodes; write 1 to 50")
    return int(text)


def _image_size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 1 << 20 <= size <= 4 << 30:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range; write 1M to 4G")
    return size
