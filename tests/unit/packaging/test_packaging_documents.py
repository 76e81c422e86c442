"""What the documents tell a reader to type, against the program's own grammar."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.cli.parser import parse_arguments
from eagle_node.config.options import OPTIONS

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    *(ROOT / name for name in ("GUIDE.md", "packaging/README.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each call of the program, in code blocks and between backticks."""
    blocks = re.findall(r"^    (?:\./)?eagle-node ([a-z].*)$", text, re.MULTILINE)
    spans = re.findall(r"`eagle-node ([a-z][^`]*)`", text)
    for call in (*blocks, *spans):
        words = shlex.split(re.split(r"\s{2,}| [#>|] ?", call)[0].replace("[--json]", "--json"))
        yield [word for word in words if word not in ("…", "...")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_program_takes_what_documents_tell(document: Path) -> None:
    """No command in a document has an unknown name, action or option."""
    for words in commands(document.read_text()):
        assert _complaint([word for word in words if word != "--help"]) == "", words


def test_the_guide_has_commands() -> None:
    """The check above has something to check."""
    told = [words[0] for words in commands((ROOT / "GUIDE.md").read_text())]
    assert {"demo", "doctor", "keys", "mirror", "preheat", "status"} <= set(told)


def test_the_guide_names_options_that_exist() -> None:
    """What the guide calls an option of the file is one."""
    text = (ROOT / "GUIDE.md").read_text()
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text))
    assert named - {"eagle-node"} <= set(OPTIONS), named - set(OPTIONS)
    assert {"cache-size", "cluster-key-file", "stale-limit"} <= named


def test_every_bad_day_has_command_and_remedy() -> None:
    """Each symptom's row has three cells with words in them."""
    text = (ROOT / "GUIDE.md").read_text().partition("## Bad days")[2]
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 25
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 3, row
        assert all(cells), row


def _complaint(words: list[str]) -> str:
    """Why the program would not take ``words``; one that a document shortens lacks nothing else."""
    try:
        parse_arguments(words)
    except UsageError as error:
        return "" if "are required" in str(error) else str(error)
    return ""
