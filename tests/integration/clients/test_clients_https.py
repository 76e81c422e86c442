"""Unmodified clients pull from a private registry with HTTPS_PROXY, and trust the local CA."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.certificates import issue
from tests.support.clients import CLIENTS, skopeo
from tests.support.clients.dockerd import dockerd
from tests.support.clients.podman import podman
from tests.support.images import Image, files_image, push
from tests.support.netns import network
from tests.support.node import Node, eagle_node
from tests.support.process import CommandFailed, run
from tests.support.registry import Credentials, Registry, docker_registry

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
NAME = "registry.test"
"""The registry's name in image references; no DNS knows it, only the node."""
USER = Credentials(user="alice", password="s3cret-of-alice")
WHO = f"{USER.user}:{USER.password}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A private registry with a CA of its own, and a node that opens HTTPS to it."""

    registry: Registry
    node: Node
    config: Path
    ca: Path
    """The local CA's certificate."""

    @property
    def env(self) -> Mapping[str, str]:
        """Environment of a client."""
        return {
            "HTTPS_PROXY": self.node.proxy_url,
            "HTTP_PROXY": self.node.proxy_url,
            "NO_PROXY": "",
            "SSL_CERT_FILE": str(self.ca),
        }

    async def pushed(self, directory: Path, *, seed: str) -> Image:
        """A new image, in ``team/app``."""
        image = files_image(directory, [MIB, 3 * MIB], seed=seed)
        await push(image, self.registry, "team/app")
        return image

    def url(self, kind: str, reference: str) -> str:
        """A URL of the registry as its clients know it."""
        return f"https://{NAME}/v2/team/app/{kind}/{reference}"

    async def curl(self, *arguments: str) -> str:
        """What curl prints when it goes through the proxy and trusts the local CA alone."""
        curl = ["curl", "--silent", "--show-error", "--proxy", self.node.proxy_url]
        done = await run([*curl, "--cacert", str(self.ca), *arguments])
        return done.stdout


async def ca_command(*arguments: str) -> str:
    """What ``eagle-node ca`` prints."""
    return (await run([sys.executable, "-m", "eagle_node", "ca", *arguments])).stdout


@asynccontextmanager
async def private_site(directory: Path) -> AsyncIterator[Site]:
    """Listening on loopback; the registry wants USER."""
    tls = issue(directory / "tls")
    async with docker_registry(directory / "registry", tls=tls, auth=USER) as registry:
        config = directory / "node.toml"
        config.write_text(
            f'[[registry]]\nname = "{NAME}"\nurl = "{registry.url}"\nca-file = "{tls.authority}"\n'
        )
        at = ("--config", str(config), "--data-dir", str(directory / "node" / "data"))
        await ca_command("init", *at)
        ca = directory / "ca.pem"
        ca.write_text(await ca_command("show", *at))
        await ca_command("trust", "--by-hand", *at)
        async with eagle_node(directory / "node", "--config", str(config)) as node:
            yield Site(registry=registry, node=node, config=config, ca=ca)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One for all tests that leave it as it is; each has an image of its own."""
    async with private_site(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def image(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Image:
    """In the registry's repository ``team/app``."""
    return await site.pushed(tmp_path / "image", seed=request.node.name)


async def test_clients_pull_with_their_own_credentials(
    site: Site, image: Image, tmp_path: Path
) -> None:
    """curl, skopeo, podman, containerd and dockerd: the registry sends each blob to the first only.

    Nobody else gets what is cached by then: each is asked about at the registry.
    """
    for name in ("skopeo", "podman", "containerd", "dockerd"):
        async with CLIENTS[name](tmp_path / name, env=site.env) as client:
            pulled = await client.pull(f"{NAME}/team/app:latest", user=WHO)
        assert pulled == image.digest, name
    served = (await site.node.status())["traffic"]["served_from"]
    assert served["local"] >= 3 * image.size
    for blob in image.blobs:
        url = site.url("blobs", blob.digest)
        target = tmp_path / blob.digest
        code = await site.curl("--user", WHO, "--output", str(target), url)
        assert code == ""
        assert f"sha256:{hashlib.sha256(target.read_bytes()).hexdigest()}" == blob.digest
        for stranger in ([], ["--user", "mallory:guess"]):
            asked = ["--output", os.devnull, "--write-out", "%{http_code}", *stranger, url]
            assert await site.curl(*asked) == "401"
    requests, sent = await site.registry.blob_requests(), await site.registry.blob_bytes()
    for blob in image.blobs:
        assert (requests[blob.digest], sent[blob.digest]) == (1, blob.size)
    assert USER.password not in site.node.log()


async def test_another_node_takes_it_from_the_swarm(
    site: Site, image: Image, tmp_path: Path
) -> None:
    """What one host's client has pulled, the registry does not send to the next host's."""
    blob = max(image.blobs, key=lambda each: each.size)
    fetch = ("--user", WHO, "--output", os.devnull, site.url("blobs", blob.digest))
    await site.curl(*fetch)
    at = ("--config", str(site.config), "--data-dir", str(tmp_path / "data"))
    for command in (("init",), ("trust", "--by-hand")):
        await ca_command(*command, *at)
    ca = tmp_path / "ca.pem"
    ca.write_text(await ca_command("show", *at))
    async with eagle_node(tmp_path, "--config", str(site.config), *site.node.pins) as node:
        other = replace(site, node=node, ca=ca)
        await other.curl(*fetch)
        traffic = (await node.status())["traffic"]
    assert traffic["peer_download_bytes"] >= blob.size
    assert (await site.registry.blob_requests())[blob.digest] == 1


async def test_a_push_goes_through(site: Site, image: Image, tmp_path: Path) -> None:
    """To the registry itself, under the name that the client knows."""
    layout = tmp_path / "pulled"
    await run(
        [
            *("skopeo", "copy", "--quiet", "--insecure-policy", "--src-creds", WHO),
            *("--dest-creds", WHO, f"docker://{NAME}/team/app:latest"),
            f"docker://{NAME}/team/other:new",
        ],
        env=site.env,
    )
    await run(
        [
            *("skopeo", "copy", "--quiet", "--insecure-policy", "--src-creds", WHO),
            *(f"docker://{NAME}/team/other:new", f"dir:{layout}"),
        ],
        env=site.env,
    )
    pushed = [each for each in await site.registry.accesses() if "/team/other/" in each.path]
    assert {"POST", "PUT"} <= {each.method for each in pushed}
    assert (layout / "manifest.json").exists()


@pytest.mark.slow
async def test_podman_and_dockerd_push_by_https(site: Site, image: Image, tmp_path: Path) -> None:
    """Each with its own credentials, to a repository of its own."""
    reference = f"{NAME}/team/app:latest"
    async with podman(tmp_path / "podman", env=site.env) as client:
        assert await client.pull(reference, user=WHO) == image.digest
        await client.push(reference, f"{NAME}/podman/app:v1", user=WHO)
    async with dockerd(tmp_path / "dockerd", env=site.env) as daemon:
        assert await daemon.pull(reference, user=WHO) == image.digest
        await daemon.push(reference, f"{NAME}/docker/app:v1", user=WHO)
    for repository in ("podman/app", "docker/app"):
        url = f"https://{NAME}/v2/{repository}/tags/list"
        assert json.loads(await site.curl("--user", WHO, url))["tags"] == ["v1"]


async def test_curl_speaks_all_of_http_within(site: Site, image: Image) -> None:
    """Ranges, HEAD, several requests on one connection, HTTP/2 asked for: HTTP/1.1 comes back."""
    blob = max(image.blobs, key=lambda each: each.size)
    url = site.url("blobs", blob.digest)
    shown = "%{http_code} %{http_version} %{num_connects} %{size_download}\n"
    quiet = ["--user", WHO, "--output", os.devnull, "--write-out", shown]
    assert await site.curl("--http2", "--range", "5-104", *quiet, url) == "206 1.1 1 100\n"
    assert await site.curl("--head", *quiet, url) == "200 1.1 1 0\n"
    twice = await site.curl(*quiet, "--output", os.devnull, url, url)
    assert twice == f"200 1.1 1 {blob.size}\n200 1.1 0 {blob.size}\n"
    manifest = await site.curl(
        *("--user", WHO, "-H", "Accept: application/vnd.oci.image.manifest.v1+json"),
        site.url("manifests", "latest"),
    )
    assert {each["digest"] for each in json.loads(manifest)["layers"]} <= {
        each.digest for each in image.blobs
    }


async def test_manifests_outlive_the_registry(tmp_path: Path) -> None:
    """A pull that was made before can be made again while the registry is down."""
    async with private_site(tmp_path) as site:
        await _outlive(site, await site.pushed(tmp_path / "image", seed="outlived"))


async def _outlive(site: Site, image: Image) -> None:
    accept = ("--user", WHO, "-H", "Accept: application/vnd.oci.image.manifest.v1+json")
    blob = image.blobs[0]
    manifest = await site.curl(*accept, site.url("manifests", "latest"))
    await site.curl(*accept, "--output", os.devnull, site.url("blobs", blob.digest))
    await site.registry.process.kill()
    assert await site.curl(*accept, site.url("manifests", "latest")) == manifest
    shown = ("--output", os.devnull, "--write-out", "%{http_code}")
    assert await site.curl(*accept, *shown, site.url("blobs", blob.digest)) == "200"
    assert await site.curl(*accept, *shown, f"https://{NAME}/v2/") == "502"


async def test_other_hosts_are_tunnelled_untouched(tmp_path: Path) -> None:
    """A client of theirs sees their own certificate; nothing of it is kept."""
    image = files_image(tmp_path / "other-image", [MIB], seed="other")
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["origin", "host"]))
        origin, host = net["origin"], net["host"]
        tls = issue(tmp_path / "remote-tls", origin.address)
        remote = await stack.enter_async_context(
            docker_registry(
                tmp_path / "remote", host=origin.address, namespace=origin.namespace, tls=tls
            )
        )
        await push(image, remote, "team/app")
        node = await stack.enter_async_context(
            eagle_node(tmp_path / "remote-node", host=host.address, namespace=host.namespace)
        )
        env = {
            "HTTPS_PROXY": node.proxy_url,
            "NO_PROXY": "",
            "SSL_CERT_FILE": str(tls.authority),
        }
        client = await stack.enter_async_context(
            skopeo(tmp_path / "skopeo", namespace=host.namespace, env=env)
        )
        assert await client.pull(f"{remote.address}/team/app:latest") == image.digest
        status = await node.status()
    assert status["traffic"]["served_bytes"] == 0
    assert status["traffic"]["origin_bytes"] == 0


async def test_refusals_are_shown_by_clients(site: Site, tmp_path: Path) -> None:
    """A client in Go shows the reason that stands in the status line."""
    async with skopeo(tmp_path / "skopeo", env=site.env) as client:
        with pytest.raises(CommandFailed, match=r"host name nowhere\.invalid does not resolve"):
            await client.pull("nowhere.invalid/team/app:latest")


TRUST = """
for directory in /etc/ssl /usr/local/share/ca-certificates /etc/docker /etc/containers; do
    [ -d $directory ] || continue
    copy={scratch}/$(echo $directory | tr / _)
    cp -a $directory $copy
    mount --bind $copy $directory
done
trust="{python} -m eagle_node ca trust --config {config} --data-dir {data}"
request="curl --silent --show-error --proxy {proxy} --output /dev/null https://{name}/v2/"
[ ! -d /etc/ca-certificates/update.d ] || mount -t tmpfs none /etc/ca-certificates/update.d
before=$(find /etc/docker /etc/containers /usr/local/share/ca-certificates | sort)
if $request; then exit 91; else [ $? = 60 ] || exit 92; fi
$trust
$request
[ ! -d /etc/docker ] || ls /etc/docker/certs.d/{name}/eagle-node-local-ca.crt
$trust --remove
if $request; then exit 93; else [ $? = 56 ] || exit 94; fi
[ "$before" = "$(find /etc/docker /etc/containers /usr/local/share/ca-certificates | sort)" ]
$trust --by-hand
if $request; then exit 95; else [ $? = 60 ] || exit 96; fi
"""
"""In a mount namespace of its own, on copies of the machine's directories, and without what other
packages do when CAs change (Java's key store). 60: curl(1), the certificate is not trusted."""


async def test_trust_is_given_and_taken_back(site: Site, tmp_path: Path) -> None:
    """By the system's own means: curl trusts the CA in between, and everything is as it was."""
    script = TRUST.format(
        scratch=tmp_path,
        python=sys.executable,
        config=site.config,
        data=site.node.directory / "data",
        proxy=site.node.proxy_url,
        name=NAME,
    )
    await run(["unshare", "--mount", "--propagation", "private", "sh", "-exc", script])


async def test_a_remote_client_does_not_reach_the_inside_of_the_host(tmp_path: Path) -> None:
    """With ``--tunnel any`` it reaches other hosts, and neither loopback nor link-local addresses.

    What loopback means is decided by the client's own address, not by what it says.
    """
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["host", "client"]))
        host, client = net["host"], net["client"]
        node = await stack.enter_async_context(
            eagle_node(
                tmp_path / "node",
                *("--proxy-listen", "0.0.0.0:43002", "--tunnel", "any"),
                host=host.address,
                namespace=host.namespace,
            )
        )
        inner = node.api_url.partition("://")[2]

        async def reason(target: str, *, namespace: str, proxy: str) -> str:
            curl = ["curl", "--silent", "--proxytunnel", "--proxy", proxy, "--write-out"]
            done = await run(
                ["sh", "-c", '"$@" || true', "sh", *curl, "%{http_connect}", f"http://{target}/"],
                namespace=namespace,
            )
            return done.stdout[-3:]

        remote = {"namespace": client.namespace, "proxy": f"http://{host.address}:43002"}
        local = {"namespace": host.namespace, "proxy": "http://127.0.0.1:43002"}
        port = inner.partition(":")[2]
        for target in (inner, f"localhost:{port}", f"[::1]:{port}", "169.254.169.254:80"):
            assert await reason(target, **remote) == "403"
        assert await reason(inner, **local) == "200"
        assert await reason(f"{client.address}:9", **remote) == "502"
