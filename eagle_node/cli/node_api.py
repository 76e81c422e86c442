"""Which node a command talks to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from eagle_node.api.client import ApiClient
from eagle_node.api.token import read_token
from eagle_node.cli.parser import API_VARIABLE, DEFAULT_API, TOKEN_VARIABLE


def api_client(arguments: argparse.Namespace) -> ApiClient:
    """A client of the node at ``--api``, with the token in ``--api-token-file`` if there is one."""
    url = arguments.api or os.environ.get(API_VARIABLE) or DEFAULT_API
    path = arguments.api_token_file or os.environ.get(TOKEN_VARIABLE)
    return ApiClient(url, token=read_token(Path(path)) if path else None)
