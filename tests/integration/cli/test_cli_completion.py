"""Completion in real shells, and the manual in a real formatter."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from pathlib import Path

from eagle_node.cli.completion import SHELLS
from eagle_node.cli.grammar import grammar
from eagle_node.cli.parser import build_parser
from tests.support.process import run

COMMAND = [sys.executable, "-m", "eagle_node"]


LINES = {
    "eagle-node mir": ["mirror"],
    "eagle-node mirror un": ["uninstall"],
    "eagle-node mirror install --dr": ["--dry-run"],
    "eagle-node mirror install --runtime ": ["containerd", "crio", "docker", "podman"],
    "eagle-node run --log-format ": ["json", "text"],
    "eagle-node run --upload-l": ["--upload-limit"],
    "eagle-node completion z": ["zsh"],
}
"""What is typed, and what fits."""


def script(directory: Path, shell: str) -> Path:
    """The completion script of a shell, in a file."""
    path = directory / f"completion.{shell}"
    path.write_text(SHELLS[shell](grammar(build_parser())))
    return path


async def in_bash(path: Path, *lines: str) -> list[list[str]]:
    """What bash offers at the end of each line."""
    code = [f"source {path}"]
    for line in lines:
        words = line.replace("=", " = ").split(" ")
        code += [
            f"COMP_WORDS=({' '.join(json.dumps(word) for word in words)})",
            f"COMP_CWORD={len(words) - 1}; COMPREPLY=(); _eagle_node",
            'echo "${COMPREPLY[@]}"',
        ]
    done = await run(["bash", "--norc", "-c", "\n".join(code)])
    return [sorted(each.split()) for each in done.stdout.splitlines()]


async def in_fish(path: Path, *lines: str) -> list[list[str]]:
    """What fish offers at the end of each line."""
    offers = [f"echo (complete -C {json.dumps(line)} | string split -f1 \\t)" for line in lines]
    code = [f"source {path}", *offers]
    env = {"HOME": str(path.parent)}
    done = await run(["fish", "--no-config", "-c", "\n".join(code)], env=env)
    return [sorted(each.split()) for each in done.stdout.splitlines()]


async def test_bash_and_fish_offer_what_fits(tmp_path: Path) -> None:
    """Commands, actions, options, and values where there are few."""
    assert await in_bash(script(tmp_path, "bash"), *LINES) == list(LINES.values())
    assert await in_fish(script(tmp_path, "fish"), *LINES) == list(LINES.values())


async def test_values_after_an_equals_sign_and_files(tmp_path: Path) -> None:
    """bash parts words there; where a file is wanted, files are offered."""
    (tmp_path / "node.toml").write_text("")
    prefix = str(tmp_path / "node.to")
    lines = ("eagle-node run --log-format=j", f"eagle-node run --config {prefix}")
    assert await in_bash(script(tmp_path, "bash"), *lines) == [["json"], [f"{prefix}ml"]]


async def test_zsh_completes_on_a_terminal(tmp_path: Path) -> None:
    """What is typed and then tabbed is what the line becomes."""
    path = script(tmp_path, "zsh")
    (tmp_path / ".zshrc").write_text(
        f"PS1='ready> '; autoload -Uz compinit; compinit -u -D; source {path}\n"
    )
    controller, terminal = pty.openpty()
    child = await asyncio.create_subprocess_exec(
        *["setpriv", "--pdeathsig", "KILL", "--", "zsh", "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "ZDOTDIR": str(tmp_path), "HOME": str(tmp_path), "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(terminal)
    shown = asyncio.Queue[bytes]()
    os.set_blocking(controller, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(controller, lambda: shown.put_nowait(os.read(controller, 4096)))

    async def until_shown(text: bytes) -> None:
        seen = b""
        async with asyncio.timeout(60):
            while text not in seen:
                seen += await shown.get()

    try:
        await until_shown(b"ready> ")
        os.write(controller, b"eagle-node mir\t")
        await until_shown(b"ror ")
        os.write(controller, b"install --runtime conta\t")
        await until_shown(b"inerd")
    finally:
        loop.remove_reader(controller)
        child.kill()
        await child.wait()
        os.close(controller)


async def test_the_manual_is_well_formed(tmp_path: Path) -> None:
    """The formatter has nothing to warn of, and shows every command."""
    page = tmp_path / "eagle-node.1"
    page.write_text((await run([*COMMAND, "man"])).stdout)
    done = await run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou", str(page)])
    assert done.stderr == ""
    for words in ("eagle-node mirror install", "--upload-limit SIZE", "EXIT STATUS"):
        assert words in done.stdout
