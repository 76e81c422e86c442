"""``eagle-node run``: a node until a signal stops it."""

from __future__ import annotations

import argparse
import asyncio
import os

from eagle_node.cli.exits import Exit
from eagle_node.cli.logs import configure_logging
from eagle_node.cli.parser import given_options
from eagle_node.cli.signals import until_signal
from eagle_node.config.load import load


def run(arguments: argparse.Namespace) -> int:
    """Run a node; returns once a signal has stopped it, raises `StartError` or `UsageError`."""
    config = load(given_options(arguments), file=arguments.config, environment=os.environ)
    configure_logging(config.log)
    from eagle_node.node import run_node

    return asyncio.run(until_signal(run_node(config), on_sigterm=Exit.OK))
