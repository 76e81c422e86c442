"""The systemd unit and its drop-ins, read by systemd itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.process import run

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "packaging" / "debian" / "eagle-node.service"
DROP_INS = ROOT / "examples" / "systemd"


def system(root: Path, *drop_ins: str) -> Path:
    """A root directory with the unit, a program to start, and the drop-ins; the unit's path."""
    units = root / "etc" / "systemd" / "system"
    (units / "eagle-node.service.d").mkdir(parents=True)
    shutil.copy(UNIT, units)
    for name in drop_ins:
        shutil.copy(DROP_INS / name, units / "eagle-node.service.d")
    program = root / "usr" / "bin" / "eagle-node"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    return units / UNIT.name


@pytest.mark.parametrize(
    "drop_ins", [(), ("vip.conf",), ("limits.conf",), ("containerd-content.conf",)]
)
async def test_systemd_reads_every_line(tmp_path: Path, drop_ins: tuple[str, ...]) -> None:
    """No key is unknown, no value wrong; drop-ins included."""
    unit = system(tmp_path, *drop_ins)
    argv = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}"]
    told = await run([*argv, unit.name])
    complaints = [line for line in (told.stdout + told.stderr).splitlines() if "eagle-node" in line]
    assert complaints == []


async def test_the_service_is_shut_in(tmp_path: Path) -> None:
    """systemd's own judgement of the sandbox: at most 2.0 of 10, with the address's rights 4.0."""
    for drop_ins, limit in (((), 2.0), (("vip.conf",), 4.0)):
        unit = system(tmp_path / str(limit), *drop_ins)
        argv = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
        told = await run([*argv, f"--root={tmp_path / str(limit)}", unit.name])
        level = re.search(r"exposure level for eagle-node.service: ([\d.]+)", told.stdout)
        assert level is not None, told.stdout
        assert float(level[1]) <= limit


async def test_the_maintainer_scripts_and_the_installer_are_shell(tmp_path: Path) -> None:
    """dash, which runs them on Debian, parses each."""
    scripts = [ROOT / "packaging" / "debian" / name for name in ("postinst", "prerm", "postrm")]
    for script in (*scripts, ROOT / "examples" / "three-hosts" / "install.sh"):
        await run(["dash", "-n", str(script)])
