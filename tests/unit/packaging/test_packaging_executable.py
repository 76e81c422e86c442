"""What the single executable leaves out."""

from __future__ import annotations

from eagle_packaging.executable import excluded_but_needed

WARNINGS = """\
missing module named 'h2.events' - imported by urllib3.http2.connection (top-level)
excluded module named _frozen_importlib - imported by importlib (optional), zipimport (top-level)
excluded module named pip - imported by cffi.api (delayed), sqlite_utils.cli (optional)
excluded module named unittest - imported by some.tests (delayed), links.socket (top-level)
"""


def test_a_module_that_others_cannot_do_without_is_not_left_out() -> None:
    """An import at the top of a module fails at run time; others may be answered in another way."""
    assert excluded_but_needed(WARNINGS) == ["unittest by links.socket"]
