"""daemon.json: what install and uninstall make of it."""

from __future__ import annotations

import json

import pytest

from eagle_node.mirror import docker
from eagle_node.mirror.files import MemoryFiles
from eagle_node.mirror.model import DEFAULT_PROXY, Mirror, MirrorError, Plan, Recorded, Runtime

OTHER = "https://mirror.example"


def planned(text: str | None, *registries: str, **others: str) -> Plan:
    """The plan for a system with this daemon.json."""
    contents = {path.replace("_", "/"): each.encode() for path, each in others.items()}
    if text is not None:
        contents[docker.CONFIG] = text.encode()
    return docker.install(MemoryFiles(contents), Mirror(registries=registries), {})


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (None, f'{{\n  "registry-mirrors": ["{DEFAULT_PROXY}"]\n}}\n'),
        ("{}", f'{{\n  "registry-mirrors": ["{DEFAULT_PROXY}"]\n}}'),
        (
            '{\n    "debug": true\n}\n',
            f'{{\n    "debug": true,\n    "registry-mirrors": ["{DEFAULT_PROXY}"]\n}}\n',
        ),
        (
            '{"registry-mirrors":["https://mirror.example"],"debug":false}',
            f'{{"registry-mirrors":["{DEFAULT_PROXY}", "{OTHER}"],"debug":false}}',
        ),
        (
            '{"registry-mirrors": [\n  "https://mirror.example"\n]}',
            f'{{"registry-mirrors": [\n  "{DEFAULT_PROXY}",\n  "{OTHER}"\n]}}',
        ),
    ],
)
def test_the_mirror_goes_first_and_the_rest_stays(text: str | None, changed: str) -> None:
    """Blanks, order and values of others are as they were."""
    (change,) = planned(text).needed
    assert change.after == changed.encode()


def test_a_mirror_by_hand_is_enough() -> None:
    """With or without a slash at its end, it is the same mirror."""
    assert planned(json.dumps({docker.KEY: [OTHER, f"{DEFAULT_PROXY}/"]})).needed == ()


def test_docker_mirrors_docker_hub_only() -> None:
    """For other registries there is nothing to write, and a note says so."""
    plan = planned(None, "ghcr.io")
    assert plan.changes == ()
    assert "docker.io only" in plan.notes[0]
    assert planned(None, "ghcr.io", "docker.io").needed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"registry-mirrors": "x"}', "is no list"),
        ('{"debug": true, "debug": false}', "'debug' stands there twice"),
    ],
)
def test_what_dockerd_could_not_read_is_refused(text: str, told: str) -> None:
    """A file that is wrong is never touched."""
    with pytest.raises(MirrorError, match=told):
        planned(text)


def test_a_flag_and_the_file_together_would_stop_dockerd() -> None:
    """The file with the flag is named."""
    files = MemoryFiles({"/etc/default/docker": b'DOCKER_OPTS="--registry-mirror=https://x"\n'})
    with pytest.raises(MirrorError, match=r"/etc/default/docker gives dockerd --registry-mirror"):
        docker.install(files, Mirror(), {})
    comment = MemoryFiles({"/etc/default/docker": b"#DOCKER_OPTS=--registry-mirror=x\n"})
    assert docker.install(comment, Mirror(), {}).needed


@pytest.mark.parametrize(
    ("before", "now", "left"),
    [
        (None, f'{{"debug": true, "registry-mirrors": ["{DEFAULT_PROXY}"]}}', '{"debug": true}'),
        (
            "{}",
            f'{{"registry-mirrors": ["{OTHER}", "{DEFAULT_PROXY}"]}}',
            f'{{"registry-mirrors": ["{OTHER}"]}}',
        ),
        (
            '{"registry-mirrors": []}',
            f'{{"registry-mirrors": ["{DEFAULT_PROXY}"], "a": 1}}',
            '{"registry-mirrors": [], "a": 1}',
        ),
        (None, '{"registry-mirrors": ["http:\\/\\/127.0.0.1:43002"]}', None),
        (None, '{"debug": true}', '{"debug": true}'),
    ],
)
def test_only_our_part_goes_when_others_have_written(
    before: str | None, now: str, left: str | None
) -> None:
    """After somebody else has changed the file, uninstall takes out one string."""
    recorded = Recorded(
        runtime=Runtime.DOCKER,
        url=DEFAULT_PROXY,
        before=None if before is None else before.encode(),
        after="",
    )
    result = docker.stripped(now.encode(), recorded)
    assert result == (None if left is None else left.encode())
