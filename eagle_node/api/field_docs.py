"""The docstrings below a dataclass's fields: Python itself does not keep them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def class_doc(kind: type) -> str:
    """A class's docstring as one line of plain text."""
    return _plain(inspect.getdoc(kind) or "")


def field_docs(kind: type) -> dict[str, str]:
    """By field: its docstring as one line; none at all where the source is not at hand."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except OSError:
        return {}
    body = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)).body
    found = {}
    for statement, following in pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = _plain(text)
    return found


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "").split())
