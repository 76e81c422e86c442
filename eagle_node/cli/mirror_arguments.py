"""Arguments of ``eagle-node mirror``."""

from __future__ import annotations

import argparse
from typing import Any

from eagle_node.cli import texts

DEFAULT_PROXY = "http://127.0.0.1:43002"


def fill_mirror(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options; actions' parsers are of the parser's own class."""
    adder: Any = parser.add_subparsers(
        dest="action", metavar="ACTION", title="actions", required=True, parser_class=type(parser)
    )
    for name, text in texts.MIRROR_ACTIONS.items():
        action = adder.add_parser(name, help=text.summary, text=text)
        _add_common(action)
        if name != "uninstall":
            _add_mirror(action)
        if name in ("install", "uninstall"):
            action.add_argument(
                "--dry-run", action="store_true", help="show what would change, and change nothing"
            )


def _add_common(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--runtime",
        action="append",
        metavar="NAME",
        help="containerd, docker, podman (also skopeo and buildah) or crio; repeatable, or a list "
        "with commas (default: those that are installed)",
    )
    action.add_argument(
        "--root",
        default="/",
        metavar="DIR",
        help="directory that stands for / of the system to configure, an image's for example "
        "(default: /)",
    )
    action.add_argument("--json", action="store_true", help="print a JSON document")


def _add_mirror(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--registry",
        action="append",
        metavar="NAME",
        help="host or host:port as in image names; repeatable (default: containerd: all; docker: "
        "docker.io; podman, crio: docker.io, ghcr.io, quay.io, registry.k8s.io)",
    )
    action.add_argument(
        "--proxy",
        default=DEFAULT_PROXY,
        metavar="URL",
        help=f"where the node listens for runtimes (default: {DEFAULT_PROXY})",
    )
