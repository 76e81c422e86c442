"""Real container clients, each on roots and state of its own and without a service manager.

All four are used alike: ``async with containerd(directory, route) as client`` and then
``await client.pull("docker.io/library/name:tag")``, which returns the digest of the manifest that
the client believes in. Clients check the digests of what they pull; nothing here weakens that.
"""

from tests.support.clients.containerd import containerd
from tests.support.clients.dockerd import dockerd
from tests.support.clients.podman import podman
from tests.support.clients.route import Client, ClientFactory, Route
from tests.support.clients.skopeo import skopeo

CLIENTS: dict[str, ClientFactory] = {
    "containerd": containerd,
    "dockerd": dockerd,
    "podman": podman,
    "skopeo": skopeo,
}
"""Every client by name, for parametrized tests."""

__all__ = [
    "CLIENTS",
    "Client",
    "ClientFactory",
    "Route",
    "containerd",
    "dockerd",
    "podman",
    "skopeo",
]
