"""Names, routes, challenges and header values hold for any text."""

from __future__ import annotations

import contextlib
import json
import re
import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from yarl import URL

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import BadDigest, EagleError, Unavailable
from eagle_node.registry.answer import Asked, whole_size
from eagle_node.registry.challenge import (
    BasicChallenge,
    BearerChallenge,
    Challenge,
    parse_challenges,
)
from eagle_node.registry.docker_config import parse_docker_config, parse_helper_reply
from eagle_node.registry.errors import oci_error
from eagle_node.registry.headers import parse_length, through_mirror, without_ns
from eagle_node.registry.names import (
    BadName,
    BlobRef,
    Repository,
    parse_reference,
    parse_registry,
    parse_repository_name,
)
from eagle_node.registry.redirects import next_url
from eagle_node.registry.refusals import refusal
from eagle_node.registry.route import (
    BlobRoute,
    CatalogRoute,
    ManifestRoute,
    Ping,
    ReferrersRoute,
    Route,
    TagsRoute,
    UploadRoute,
    parse_route,
)

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DNS_NAMES = (
    st.lists(LABEL, min_size=1, max_size=4)
    .map(".".join)
    .filter(lambda name: not name.rpartition(".")[2].isdecimal())
)
HOSTS = DNS_NAMES | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda a: f"[{a}]")
PORTS = st.none() | st.integers(1, 65535)
REGISTRIES = st.builds(lambda h, p: h if p is None else f"{h}:{p}", HOSTS, PORTS).filter(
    lambda name: name not in ("index.docker.io", "registry-1.docker.io", "docker.io")
)
COMPONENT = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
NAMES = st.lists(COMPONENT, min_size=1, max_size=4).map("/".join)
TAGS = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True)
DIGESTS = st.binary(max_size=8).map(digest_of)
REPOSITORIES = st.builds(Repository, REGISTRIES, NAMES)
SESSIONS = st.text(string.ascii_letters + string.digits + "-_=", max_size=40)
ROUTES: st.SearchStrategy[Route] = st.one_of(
    st.builds(Ping, REGISTRIES),
    st.builds(CatalogRoute, REGISTRIES),
    st.builds(ManifestRoute, REPOSITORIES, TAGS | DIGESTS),
    st.builds(BlobRoute, st.builds(BlobRef, REPOSITORIES, DIGESTS)),
    st.builds(TagsRoute, REPOSITORIES),
    st.builds(ReferrersRoute, REPOSITORIES, DIGESTS),
    st.builds(UploadRoute, REPOSITORIES, SESSIONS),
)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"))
CHALLENGES: st.SearchStrategy[Challenge] = st.one_of(
    st.builds(BasicChallenge, realm=PRINTABLE),
    st.builds(BearerChallenge, realm=PRINTABLE.filter(bool), service=PRINTABLE, scope=PRINTABLE),
)


def registry_of(route: Route) -> str:
    """The registry that a route belongs to."""
    match route:
        case Ping() | CatalogRoute():
            return route.registry
        case BlobRoute():
            return route.blob.repository.registry
    return route.repository.registry


@given(REGISTRIES)
def test_a_registry_name_is_its_own_canonical_form(name: str) -> None:
    """Parsing what parsing returned changes nothing, and case does not matter."""
    assert parse_registry(parse_registry(name)) == parse_registry(name.upper())


@given(st.text() | st.from_regex(r"[\[\]a-z0-9:./@%-]*", fullmatch=True))
def test_whatever_passes_as_a_registry_is_safe_in_a_url(text: str) -> None:
    """A registry name is exactly the authority of a URL: no path, user or query can hide in it."""
    try:
        name = parse_registry(text)
    except BadName:
        return
    url = URL(f"https://{name}/v2/")
    assert url.raw_path == "/v2/"
    assert url.user is None
    assert not url.query_string


@given(NAMES)
def test_every_name_of_the_grammar_is_accepted(name: str) -> None:
    """What the distribution-spec's grammar generates is a repository name, up to the limit."""
    assume(len(name) <= 255)
    assert parse_repository_name(name) == name


@given(st.text())
def test_repository_names_and_tags_hold_nothing_that_a_path_could_mistake(text: str) -> None:
    """No accepted name or reference can leave its place in a path."""
    for parse in (parse_repository_name, parse_reference):
        try:
            accepted = parse(text)
        except (BadName, BadDigest):
            continue
        assert accepted == text
        assert re.fullmatch(r"[A-Za-z0-9._:/-]+", accepted)
        assert ".." not in accepted.split("/")


@given(ROUTES)
def test_a_route_survives_its_path_and_ns(route: Route) -> None:
    """containerd's form, path and ``?ns=``, names the same route."""
    registry = registry_of(route)
    method = "POST" if isinstance(route, UploadRoute) else "GET"
    canonical = parse_registry(registry)
    parsed = parse_route(method, route.path, {"ns": registry}, default_registry="elsewhere.test")
    assert parsed.path == route.path
    assert registry_of(parsed) == canonical


@given(ROUTES.filter(lambda route: not isinstance(route, Ping)))
def test_a_route_survives_its_registry_in_the_path(route: Route) -> None:
    """podman's form, the registry as the first path element, names the same route as ``?ns=``."""
    registry = registry_of(route)
    assume("." in registry or ":" in registry or registry == "localhost")
    method = "POST" if isinstance(route, UploadRoute) else "GET"
    path = f"/v2/{registry}{route.path.removeprefix('/v2')}"
    assert parse_route(method, path, {}, default_registry="elsewhere.test") == parse_route(
        method, route.path, {"ns": registry}, default_registry="elsewhere.test"
    )


@given(
    st.text(),
    st.text() | st.text("/v2._:%blosmanifet@-A0", max_size=60).map(lambda tail: f"/v2/{tail}"),
    st.none() | st.text(),
)
def test_no_request_crashes_the_route_parser(method: str, path: str, ns: str | None) -> None:
    """Any text is a route or one of the two errors, and the error is an OCI answer of 4xx."""
    query = {} if ns is None else {"ns": ns}
    try:
        parse_route(method, path, query, default_registry="docker.io")
    except (BadName, BadDigest) as error:
        status, _, body = oci_error(error)
        assert 400 <= status < 500
        assert json.loads(body)["errors"][0]["message"]


@given(st.lists(CHALLENGES, max_size=4))
def test_challenges_survive_a_header(challenges: list[Challenge]) -> None:
    """Several challenges in one header are read as they were rendered."""
    header = ", ".join(challenge.render() for challenge in challenges)
    assert parse_challenges(header) == tuple(challenges)


@given(st.text() | st.text('Bearer Basic realm="=,\\\t x', max_size=80))
@example('Bearer realm="')
@example("Bearer realm=,")
@example("Negotiate abc==, Basic")
def test_no_header_crashes_the_challenge_parser(header: str) -> None:
    """Any text yields challenges that render to headers which mean the same."""
    found = parse_challenges(header)
    assert parse_challenges(", ".join(challenge.render() for challenge in found)) == found


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["auths", "credHelpers", "credsStore", "auth", "a.test", "username"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    ).map(json.dumps)
)
def test_no_docker_config_crashes_its_parser(text: str) -> None:
    """Any text is a configuration, or a ValueError of ours."""
    for parse in (parse_docker_config, parse_helper_reply):
        with contextlib.suppress(ValueError):
            parse(text)


@given(st.integers(0, 999), st.binary(max_size=200), st.text())
def test_every_answer_that_is_no_success_is_an_error_of_ours(
    status: int, body: bytes, retry: str
) -> None:
    """Whatever a registry sends as an error, it becomes one, with a status for the client."""
    error = refusal(status, {"Retry-After": retry}, body, source="it", subject="that")
    assert isinstance(error, EagleError)
    assert oci_error(error)[0] not in (408, 500)


@given(
    start=st.integers(0, 5000), length=st.none() | st.integers(1, 5000), size=st.integers(1, 5000)
)
def test_an_honest_server_is_believed(start: int, length: int | None, size: int) -> None:
    """The 206 that RFC 9110 prescribes for our range tells the blob's size."""
    assume(start < size)
    asked = Asked(start=start, stop=None if length is None else start + length)
    assume(asked.header() is not None)
    stop = size if asked.stop is None else min(size, asked.stop)
    headers = {
        "Content-Range": f"bytes {start}-{stop - 1}/{size}",
        "Content-Length": str(stop - start),
    }
    assert whole_size(asked, 206, headers, source="it", subject="blob") == size


@given(
    start=st.integers(0, 50),
    length=st.integers(1, 50),
    first=st.integers(0, 99),
    last=st.integers(0, 99),
    size=st.integers(0, 99),
)
def test_another_range_than_the_one_asked_for_is_refused(
    start: int, length: int, first: int, last: int, size: int
) -> None:
    """Bytes at other offsets never pass for those that were asked for."""
    asked = Asked(start=start, stop=start + length)
    assume((first, last + 1) != (start, min(start + length, size)))
    headers = {"Content-Range": f"bytes {first}-{last}/{size}"}
    with pytest.raises(Unavailable):
        whole_size(asked, 206, headers, source="it", subject="blob")


@given(st.text())
def test_no_redirect_target_crashes(location: str) -> None:
    """Any ``Location`` is a URL to follow or `Unavailable`, and never leaves TLS."""
    try:
        target = next_url([URL("https://registry.test/v2/a")], location)
    except Unavailable:
        return
    assert target.scheme == "https"
    assert target.user is None


@given(st.text())
def test_a_link_that_stays_at_the_registry_names_it(target: str) -> None:
    """A relative target gets exactly one ``ns``; what leads elsewhere is untouched."""
    base = URL("https://registry.test")
    for location in (target, f"/v2/{target}", f"https://registry.test/v2/{target}"):
        turned = through_mirror({"Location": location}, base=base, registry="r.test")["Location"]
        if turned != location:
            assert turned.startswith("/v2/")
            assert turned.count("ns=r.test") >= 1
            assert turned.endswith("ns=r.test")


@given(st.lists(st.from_regex(r"[a-z]{1,4}=[a-z%0-9]{0,5}", fullmatch=True)))
def test_dropping_ns_leaves_the_other_parameters_as_they_are(parameters: list[str]) -> None:
    """Order and encoding of a query survive: upload states are signed."""
    kept = [p for p in parameters if not p.startswith("ns=")]
    assert without_ns("&".join(parameters)) == "&".join(kept)


@given(st.none() | st.text())
def test_only_a_number_is_a_length(text: str | None) -> None:
    """Content-Length is decimal digits or nothing."""
    length = parse_length(text)
    assert length is None or str(length) == (text or "").strip().lstrip("0") or length == 0
