"""``eagle-node doctor``: what could keep this host's node from working, and what to do."""

from __future__ import annotations

import argparse
import asyncio
import os

from eagle_node.base.findings import ok
from eagle_node.cli.exits import Exit
from eagle_node.cli.findings import report
from eagle_node.cli.parser import given_options
from eagle_node.config.load import load, service_file


def doctor(arguments: argparse.Namespace) -> Exit:
    """Print what is found; FAILURE when something does not work."""
    file = service_file(arguments.config, os.environ)
    config = load(given_options(arguments), file=file, environment=os.environ)
    from eagle_node.doctor.examine import examine

    findings = asyncio.run(examine(config, os.environ, runtimes=not arguments.no_runtimes))
    if file:
        findings.insert(0, ok("configuration", f"{file} is read"))
    return report(findings, as_json=arguments.json)
