"""What containers/image asks a mirror for, where a table says which kind of references."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.support.clients.registries_conf import write_policy
from tests.support.images import files_image, push
from tests.support.node import eagle_node
from tests.support.process import run
from tests.support.registry import docker_registry

KIB = 1 << 10
NAME = "one.example"
KINDS = ("all", "digest-only", "tag-only")
TABLES = """\
[[registry]]
prefix = "{name}"
location = "{origin}"
insecure = true
[[registry.mirror]]
location = "{mirror}/{name}"
insecure = true
pull-from-mirror = "{kind}"
"""


async def test_the_mirror_is_asked_for_what_the_table_says(tmp_path: Path) -> None:
    """All else comes from the registry itself, the same image."""
    image = files_image(tmp_path / "image", [20 * KIB])
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "team/app")
        async with eagle_node(tmp_path / "node", "--registry", f"{NAME}={registry.url}") as node:
            conf, policy = tmp_path / "registries.conf", write_policy(tmp_path)
            settings = ["--registries-conf", str(conf), "--policy", str(policy)]
            for kind, is_digest in itertools.product(KINDS, (False, True)):
                conf.write_text(
                    TABLES.format(
                        name=NAME, origin=registry.address, mirror=node.proxy_address, kind=kind
                    )
                )
                reference = f"@{image.digest}" if is_digest else ":latest"
                target = tmp_path / f"{kind}-{is_digest}"
                copy = ["copy", "--quiet", "--preserve-digests"]
                copy += [f"docker://{NAME}/team/app{reference}", f"oci:{target}:image"]
                before = (await node.status())["traffic"]["served_bytes"]
                await run(["skopeo", *settings, *copy], timeout=120)
                after = (await node.status())["traffic"]["served_bytes"]
                wanted = kind == "all" or (kind == "digest-only") == is_digest
                assert (after > before) == wanted, (kind, reference)
