"""``eagle-node ca``: this host's own CA, with which the proxy opens HTTPS."""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Sequence
from pathlib import Path

from eagle_node.base.errors import UsageError
from eagle_node.cli.exits import Exit
from eagle_node.cli.parser import given_options
from eagle_node.config.hosts import HostPattern
from eagle_node.config.load import load as load_config
from eagle_node.config.load import service_file
from eagle_node.config.tree import Config
from eagle_node.trust.local_ca import (
    FILE_NAME,
    LocalCa,
    create,
    load,
    mark_trusted,
    save,
    unmark_trusted,
)
from eagle_node.trust.stores import RECORD, Stores


def ca(arguments: argparse.Namespace) -> Exit:
    """Do what ``arguments.action`` names; `UsageError` says what stands in its way."""
    file = service_file(arguments.config, os.environ)
    config = load_config(given_options(arguments), file=file, environment=os.environ)
    match arguments.action:
        case "init":
            _init(config, replace=arguments.replace, unconstrained=arguments.unconstrained)
        case "show":
            _show(_existing(config))
        case _:
            _trust(config, remove=arguments.remove, by_hand=arguments.by_hand)
    return Exit.OK


def _init(config: Config, *, replace: bool, unconstrained: bool) -> None:
    path = _path(config)
    patterns = _patterns(config)
    if not patterns and not unconstrained:
        raise UsageError(
            "a CA for no host: name those to open with --intercept HOST or --registry NAME=URL, or "
            "give the node's --config"
        )
    if not replace and load(path) is not None:
        raise UsageError(
            f"{path} holds a CA already; see it with: eagle-node ca show; make another one in its "
            "place with --replace, and trust it again"
        )
    hosts = None if unconstrained else [pattern.host for pattern in patterns]
    made = create(hosts, now=datetime.datetime.now(datetime.UTC))
    save(made, path)
    print(f"{path}: new CA {made.fingerprint}")
    print(f"  signs {_signs(made)}")
    print("  a node opens with it once this host's programs trust it:")
    print(f"  eagle-node ca trust --data-dir {config.node.data_dir}")


def _show(made: LocalCa) -> None:
    """Lines that PEM readers skip, then the certificate."""
    print(f"subject:     {made.certificate.subject.rfc4514_string()}")
    print(f"SHA-256:     {made.fingerprint}")
    print(f"expires:     {made.expires:%Y-%m-%d %H:%M} UTC")
    print(f"signs:       {_signs(made)}")
    print(made.pem.decode(), end="")


def _trust(config: Config, *, remove: bool, by_hand: bool) -> None:
    """A running node opens with the CA only while it is trusted, so the mark is last, or first."""
    path = _path(config)
    stores = Stores(config.node.data_dir / RECORD)
    if remove:
        unmark_trusted(path)
        removed = stores.remove()
        for each in removed:
            print(f"removed {each}")
        print(_AFTER if removed else "nothing was installed")
        return
    made = _existing(config)
    if not by_hand:
        hosts = [
            str(each) for each in _patterns(config) if not each.below and made.permits(each.host)
        ]
        for each in stores.install(made.pem, hosts):
            print(f"wrote {each}")
        print(_AFTER)
    mark_trusted(made, path)
    print("a running node opens with this CA from now on")


_AFTER = "restart containerd and dockerd: programs in Go read the system's CAs when they start"


def _existing(config: Config) -> LocalCa:
    made = load(_path(config))
    if made is None:
        raise UsageError(
            f"there is no CA in {config.node.data_dir}; make one with: eagle-node ca init "
            f"--data-dir {config.node.data_dir}"
        )
    return made


def _path(config: Config) -> Path:
    return config.node.data_dir / FILE_NAME


def _patterns(config: Config) -> Sequence[HostPattern]:
    from eagle_node.proxy.intercept import Intercepts

    return Intercepts(config.proxy).patterns


def _signs(made: LocalCa) -> str:
    if made.hosts is None:
        return "any host (--unconstrained)"
    return f"{', '.join(made.hosts)} and what is below these names; nothing else"
