"""Configuration never crashes, and says the same from every source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.errors import UsageError
from eagle_node.config.options import OPTIONS, Option
from eagle_node.config.sources import from_environment, from_flags
from eagle_node.config.toml_file import parse_toml

PATH = Path("node.toml")
options = st.sampled_from(list(OPTIONS.values()))
sizes = st.integers(0, 1 << 50)


def refusal(read: Callable[[], object]) -> str | None:
    """The text of the usage error that ``read`` ends with, if it does."""
    try:
        read()
    except UsageError as error:
        return str(error)
    return None


@given(options, st.text())
def test_any_text_is_read_or_refused(option: Option, text: str) -> None:
    """A flag's text makes a setting or a usage error that names the flag, never another error."""
    told = refusal(lambda: from_flags({option.name: [text]}))
    assert told is None or told.startswith(f"{option.flag}: ")


@given(st.text())
def test_any_file_is_read_or_refused(text: str) -> None:
    """A file makes settings or a usage error that names the file."""
    told = refusal(lambda: parse_toml(text, PATH))
    assert told is None or told.startswith(str(PATH))


@given(
    options,
    st.one_of(
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.floats(),
        st.text(st.characters(codec="ascii", exclude_categories=["C"])).map(json.dumps),
        st.lists(st.integers(0, 9)),
        st.just("{ a = 1 }"),
        st.just("1979-05-27"),
    ),
)
def test_any_toml_value_is_read_or_refused(option: Option, value: object) -> None:
    """Each key with a value of any TOML type makes a setting or a usage error naming the key."""
    written = str(value).lower() if isinstance(value, bool) else str(value)
    told = refusal(lambda: parse_toml(f"{option.name} = {written}", PATH))
    assert told is None or option.name in told


@given(sizes)
def test_sizes_are_the_same_from_all_sources(size: int) -> None:
    """A number of bytes means itself as flag, variable, TOML number and TOML text."""
    values = [
        from_flags({"cache-size": [str(size)]}),
        from_environment({"EAGLE_NODE_CACHE_SIZE": str(size)}),
        parse_toml(f"cache-size = {size}", PATH),
        parse_toml(f'cache-size = "{size}"', PATH),
    ]
    assert {each["cache-size"].value for each in values} == {size}
