"""Pictures of the dashboard: ``python -m tests.tui.pictures [--goldens] [DIRECTORY]``.

Writes each as SVG and as text into DIRECTORY (default: build/screenshots). ``--goldens`` writes
the texts that the tests compare with, instead: look at their difference before you commit it.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.tui.fleet import Fleet
from tests.tui.stage import Stage, stage

GOLDENS = Path(__file__).parent / "screens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One screen: the page's key, then further keys."""

    page: str
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (80, 24)
    light: bool = False
    members: int = 12
    transfers: int = 5


PICTURES = {
    "node": Picture(page="1"),
    "cluster": Picture(page="2"),
    "transfers": Picture(page="3"),
    "blobs": Picture(page="4"),
    "preheat": Picture(page="5"),
    "events": Picture(page="6"),
    "settings": Picture(page="7"),
    "help": Picture(page="2", keys=("question_mark",)),
    "member": Picture(page="2", keys=("enter",)),
    "evict": Picture(page="4", keys=("e",)),
    "wide-node": Picture(page="1", size=(160, 45)),
    "wide-cluster": Picture(page="2", size=(160, 45), members=1000),
    "wide-transfers": Picture(page="3", size=(160, 45), light=True, transfers=60),
}


async def drawn(picture: Picture, *, svg: bool = False) -> str:
    """Its text, or its SVG."""
    fleet = Fleet(members=picture.members, transfers=picture.transfers)
    async with stage(fleet, size=picture.size, light=picture.light) as ready:
        await _go(ready, picture)
        return ready.app.export_screenshot(title="eagle-node") if svg else ready.text() + "\n"


async def _go(ready: Stage, picture: Picture) -> None:
    await ready.page(picture.page)
    if picture.keys:
        await ready.press(*picture.keys)


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(prog="tests.tui.pictures", description=__doc__)
    parser.add_argument("--goldens", action="store_true")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("build/screenshots"))
    arguments = parser.parse_args()
    directory: Path = GOLDENS if arguments.goldens else arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (directory / f"{name}.txt").write_text(asyncio.run(drawn(picture)))
        if not arguments.goldens:
            svg = asyncio.run(drawn(picture, svg=True))
            (directory / f"{name}.svg").write_text(svg)
            print(directory / f"{name}.svg")


if __name__ == "__main__":
    main()
