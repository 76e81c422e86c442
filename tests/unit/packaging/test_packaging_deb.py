"""The Debian package's files."""

from __future__ import annotations

from pathlib import Path

from eagle_packaging.deb import examples


def test_what_trying_the_examples_leaves_is_not_packed(tmp_path: Path) -> None:
    """An installed plug-in's build and caches stay out of the package."""
    left = ("p/build/lib/x.py", "p/x.egg-info/PKG-INFO", "p/__pycache__/x.pyc")
    for name in ("p/x.py", "README.md", *left):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert examples(tmp_path, "doc/") == {"doc/README.md": b"README.md", "doc/p/x.py": b"p/x.py"}
