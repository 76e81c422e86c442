"""Which node a command talks to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from eagle_node.api.client import ApiClient
from eagle_node.api.token import read_token
from eagle_node.base.errors import UsageError
from eagle_node.cli.parser import (
    API_VARIABLE,
    DEFAULT_API,
    DEFAULT_PROXY,
    PROXY_VARIABLE,
    TOKEN_VARIABLE,
)
from eagle_node.config.kinds import parse_http_url


def api_client(arguments: argparse.Namespace) -> ApiClient:
    """A client of the node at ``--api``, with the token in ``--api-token-file`` if there is one."""
    path = token_file(arguments)
    return ApiClient(api_url(arguments), token=read_token(path) if path else None)


def api_url(arguments: argparse.Namespace) -> str:
    """Where the node's control API is."""
    return _base_url(arguments.api or os.environ.get(API_VARIABLE) or DEFAULT_API, "--api")


def proxy_url(arguments: argparse.Namespace) -> str:
    """Where the node's proxy is."""
    return _base_url(arguments.proxy or os.environ.get(PROXY_VARIABLE) or DEFAULT_PROXY, "--proxy")


def token_file(arguments: argparse.Namespace) -> Path | None:
    """Where the API's secret is; None: it asks for none."""
    path = arguments.api_token_file or os.environ.get(TOKEN_VARIABLE)
    return Path(path) if path else None


def _base_url(text: str, flag: str) -> str:
    try:
        return parse_http_url(text, "http://host:port", path=True)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None
