"""registries.conf and its drop-ins: what install makes of them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from eagle_node.mirror import registries
from eagle_node.mirror.files import MemoryFiles
from eagle_node.mirror.model import Mirror, MirrorError, Plan, Runtime

MAIN = "/etc/containers/registries.conf"
NODE = "127.0.0.1:43002"


def planned(contents: dict[str, str], *names: str, runtime: Runtime = Runtime.PODMAN) -> Plan:
    """The plan for a system with these files."""
    files = MemoryFiles({path: text.encode() for path, text in contents.items()})
    return registries.install(files, Mirror(registries=names), runtime)


def parsed(plan: Plan, path: str) -> dict[str, Any]:
    """What one file shall mean."""
    (content,) = [change.after for change in plan.needed if change.path == path]
    assert content is not None
    return tomllib.loads(content.decode())


def test_unconfigured_registries_get_a_file_of_ours() -> None:
    """Each keeps its own location behind the mirror: the fallback."""
    plan = planned(
        {MAIN: 'unqualified-search-registries = ["docker.io"]\n'}, "ghcr.io", "r.example:5000"
    )
    assert parsed(plan, registries.OURS)["registry"] == [
        {
            "prefix": name,
            "location": name,
            "mirror": [{"location": f"{NODE}/{path}", "insecure": True}],
        }
        for name, path in (("ghcr.io", "ghcr.io"), ("r.example:5000", "r.example__5000"))
    ]
    assert plan.activations == {}
    assert planned({}, runtime=Runtime.CRIO).activations == {Runtime.CRIO: registries.RELOAD}


def test_a_configured_registry_keeps_its_table() -> None:
    """A drop-in of ours would replace their whole table, so the mirror goes into it, first."""
    text = (
        '[[registry]]\nlocation = "a.example"\n\n'
        '[[registry]]\nprefix = "docker.io"\nlocation = "hub.corp/docker"\ninsecure = true\n'
        '# theirs\n[[registry.mirror]]\nlocation = "old.example"\n\n'
        '[[registry]]\nlocation = "z.example"\n'
    )
    plan = planned({MAIN: text}, "docker.io")
    assert [change.path for change in plan.needed] == [MAIN]
    _, hub, _ = parsed(plan, MAIN)["registry"]
    assert hub == {
        "prefix": "docker.io",
        "location": "hub.corp/docker",
        "insecure": True,
        "mirror": [
            {"location": f"{NODE}/hub.corp/docker", "insecure": True},
            {"location": "old.example"},
        ],
    }


def test_a_table_without_mirrors_gets_its_first() -> None:
    """The block goes to the end of the table, before what follows."""
    text = (
        '[[registry]]\nlocation = "a.example"\nblocked = false\n\n'
        '# next\n[[registry]]\nlocation = "b.example"\n'
    )
    first, second = parsed(planned({MAIN: text}, "a.example"), MAIN)["registry"]
    assert [each["location"] for each in first["mirror"]] == [f"{NODE}/a.example"]
    assert second == {"location": "b.example"}


def test_the_last_file_counts() -> None:
    """Of two tables of a registry, the mirror goes into the one that clients use."""
    late = "/etc/containers/registries.conf.d/zz.conf"
    table = '[[registry]]\nprefix = "quay.io"\nlocation = "quay.io"\n'
    plan = planned({MAIN: table, late: table}, "quay.io")
    assert [change.path for change in plan.needed] == [late]


def test_the_example_by_hand_is_enough() -> None:
    """Who has copied the example file gets no second mirror."""
    text = (
        '[[registry]]\nprefix = "ghcr.io"\nlocation = "ghcr.io"\n'
        f'[[registry.mirror]]\nlocation = "{NODE}/ghcr.io"\ninsecure = true\n'
    )
    assert planned({registries.OURS: text}, "ghcr.io").needed == ()


def test_parts_with_tables_of_their_own_are_told_of() -> None:
    """The longest prefix counts, so such images would silently go another way."""
    text = '[[registry]]\nprefix = "docker.io/team"\nlocation = "r.example/team"\n'
    assert any("add --registry docker.io/team" in note for note in planned({MAIN: text}).notes)


def test_an_ipv6_registry_is_refused() -> None:
    """A mirror's path that is no image name would break the pull, the fallback included."""
    with pytest.raises(MirrorError, match="cannot name an IPv6 address"):
        planned({}, "[::1]:5000")


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        (MAIN, "[registries.search]\nregistries = []\n", "the old format"),
        (MAIN, "registry = 1\n", "no list of tables"),
        (MAIN, "[[registry]\n", "is not TOML"),
        (
            MAIN,
            '[[registry]]\nlocation = "docker.io"\nmirror = [{location = "x"}]\n',
            "not written as [[registry.mirror]] tables",
        ),
        (
            "/usr/share/containers/registries.conf.d/a.conf",
            '[[registry]]\nlocation = "docker.io"\n',
            "belongs to a package",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused(path: str, text: str, told: str) -> None:
    """Nothing is guessed: the error names the file and the way out."""
    with pytest.raises(MirrorError) as caught:
        planned({path: text}, "docker.io")
    assert told in str(caught.value)
    assert path in str(caught.value)
