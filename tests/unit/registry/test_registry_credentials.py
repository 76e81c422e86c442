"""docker's config.json and credential helpers."""

from __future__ import annotations

import base64
import json
import logging
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.registry.credentials import HELPER_TTL_S, Credentials
from eagle_node.registry.docker_config import Credential, basic, parse_docker_config


def encoded(text: str) -> str:
    """Base64, as the file has it."""
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the file is, once somebody writes it."""
    return tmp_path / "config.json"


@pytest.fixture
def helpers(tmp_path: Path) -> Iterator[Path]:
    """A directory on PATH for credential helpers."""
    directory, path = tmp_path / "bin", os.environ["PATH"]
    directory.mkdir()
    os.environ["PATH"] = f"{directory}:{path}"
    yield directory
    os.environ["PATH"] = path


def install(directory: Path, name: str, script: str) -> None:
    """Write an executable shell script."""
    program = directory / name
    program.write_text("#!/bin/sh\n" + textwrap.dedent(script))
    program.chmod(0o755)


def write(path: Path, **tree: Any) -> None:
    """Write the configuration in place of the old one, as docker does."""
    replace(path, json.dumps(tree))


def replace(path: Path, text: str) -> None:
    """Write ``text`` to a new file and move it into place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def forget(path: Path) -> None:
    """Remove the file."""
    path.unlink()


def test_each_form_of_credential_is_read() -> None:
    """``auth``, plain user and password, identity token; entries without any are none."""
    tree = {
        "auths": {
            "a.test": {"auth": encoded("user:pass:word")},
            "https://b.test/v2/": {"username": "user", "password": "päss"},
            "c.test:5000": {"auth": encoded("x:y"), "identitytoken": "token"},
            "d.test": {},
            "https://index.docker.io/v1/": {"auth": encoded("hub:secret")},
            "e.test/only/one/repository": {"auth": encoded("x:y")},
        }
    }
    assert parse_docker_config(json.dumps(tree)).credentials == {
        "a.test": basic("user", "pass:word"),
        "b.test": basic("user", "päss"),
        "c.test:5000": Credential(identity_token="token"),
        "docker.io": basic("hub", "secret"),
    }


def test_secrets_do_not_show() -> None:
    """Neither repr nor an error about the file gives one away."""
    assert "secret" not in repr(Credential(identity_token="secret"))
    assert encoded("user:secret") not in repr(basic("user", "secret"))
    with pytest.raises(ValueError, match=r"a\.test") as caught:
        parse_docker_config('{"auths": {"a.test": {"auth": "no base64, a secret"}}}')
    assert "secret" not in str(caught.value)


def test_a_credential_is_one_or_the_other() -> None:
    """Neither both nor nothing."""
    for fields in ({}, {"authorization": "Basic x", "identity_token": "y"}):
        with pytest.raises(ValueError, match="either"):
            Credential(**fields)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"a.test": 1}}',
        '{"auths": {"a.test": {"username": 1, "password": "x"}}}',
        '{"auths": {"a.test": {"auth": "YQ=="}}}',
        '{"credsStore": "../evil"}',
        '{"credHelpers": {"a.test": 3}}',
    ],
)
async def test_a_malformed_file_is_named(config: Path, text: str) -> None:
    """Asking anonymously instead would hide the mistake; it is read again once it changes."""
    credentials = Credentials(config)
    replace(config, text)
    with pytest.raises(Unavailable, match=r"malformed credentials file .*config\.json"):
        await credentials.get("a.test")
    write(config, auths={})
    assert await credentials.get("a.test") is None


async def test_no_file_is_no_credential(config: Path) -> None:
    """Whether none is configured or none is there."""
    assert await Credentials(None).get("a.test") is None
    assert await Credentials(config).get("a.test") is None


async def test_the_file_is_followed(config: Path) -> None:
    """A login takes effect with the next request, and so does a logout."""
    credentials = Credentials(config)
    for password in ("one", "two"):
        write(config, auths={"a.test": {"auth": encoded(f"user:{password}")}})
        assert await credentials.get("a.test") == basic("user", password)
    forget(config)
    assert await credentials.get("a.test") is None


async def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    """A directory, say: the message gives the reason."""
    with pytest.raises(Unavailable, match="Is a directory"):
        await Credentials(tmp_path).get("a.test")


async def test_a_helper_gets_the_server_and_gives_the_credential(
    config: Path, helpers: Path
) -> None:
    """The protocol of docker-credential-helpers; Docker Hub goes by its legacy name."""
    install(
        helpers,
        "docker-credential-test",
        """
        [ "$1" = get ] || exit 3
        printf '{"ServerURL": "", "Username": "user", "Secret": "for %s"}' "$(cat)"
        """,
    )
    write(config, credsStore="test")
    credentials = Credentials(config)
    assert await credentials.get("a.test:5000") == basic("user", "for a.test:5000")
    assert await credentials.get("docker.io") == basic("user", "for https://index.docker.io/v1/")


async def test_a_registrys_own_helper_comes_before_the_store(config: Path, helpers: Path) -> None:
    """And its ``<token>`` user marks an identity token."""
    install(
        helpers,
        "docker-credential-own",
        """printf '{"Username": "<token>", "Secret": "refresh"}'""",
    )
    write(config, credHelpers={"a.test": "own"}, credsStore="missing")
    credentials = Credentials(config)
    assert await credentials.get("a.test") == Credential(identity_token="refresh")
    with pytest.raises(Unavailable, match="cannot run docker-credential-missing"):
        await credentials.get("b.test")


async def test_what_the_helper_lacks_is_looked_up_in_the_file(config: Path, helpers: Path) -> None:
    """Its exit status is 1 then, with a fixed sentence."""
    install(
        helpers,
        "docker-credential-test",
        "echo 'credentials not found in native keychain'; exit 1",
    )
    write(config, credsStore="test", auths={"a.test": {"auth": encoded("user:file")}})
    credentials = Credentials(config)
    assert await credentials.get("a.test") == basic("user", "file")
    assert await credentials.get("b.test") is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo secret; exit 1", r"failed for a\.test \(status 1\)"),
        ("echo secret", r"gave no credential for a\.test"),
        ("exec sleep 60", r"no answer for a\.test within 0\.3 s"),
    ],
)
async def test_a_helper_that_fails_is_named_and_its_output_is_not_shown(
    config: Path, helpers: Path, script: str, reason: str
) -> None:
    """It may have printed a secret; one that hangs is killed."""
    install(helpers, "docker-credential-test", script)
    write(config, credsStore="test")
    with pytest.raises(Unavailable, match=reason) as caught:
        await Credentials(config, helper_timeout_s=0.3).get("a.test")
    assert "secret" not in str(caught.value)


async def test_a_helpers_answer_is_reused_for_a_while(config: Path, helpers: Path) -> None:
    """One process per minute and registry, unless the file changes."""
    install(
        helpers,
        "docker-credential-test",
        f"""
        echo >> {helpers}/runs
        printf '{{"Username": "user", "Secret": "%s"}}' "$(wc -l < {helpers}/runs)"
        """,
    )
    write(config, credsStore="test")
    now = 0.0
    credentials = Credentials(config, clock=lambda: now)
    assert await credentials.get("a.test") == await credentials.get("a.test") == basic("user", "1")
    now += HELPER_TTL_S
    assert await credentials.get("a.test") == basic("user", "2")
    write(config, credsStore="test", auths={})
    assert await credentials.get("a.test") == basic("user", "3")


def test_a_missing_file_is_told_once_and_once_more_when_it_is_there(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A path with a typing error does not go unseen until the first private image."""
    caplog.set_level(logging.INFO)
    credentials = Credentials(config)
    credentials.look()
    credentials.look()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"there is no {config} (--docker-config)" in caplog.text
    write(config, auths={})
    credentials.look()
    assert caplog.messages[1:] == [f"{config} (--docker-config) is there"]


def test_a_malformed_file_is_told_before_it_is_needed(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else sees it until a client comes without credentials."""
    config.write_text("{")
    Credentials(config).look()
    assert "malformed credentials file" in caplog.text
