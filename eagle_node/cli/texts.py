"""What ``--help`` teaches beside the options."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.config.options import ENVIRONMENT_PREFIX

EXIT_CODES = """\
exit codes:
  0    all is well
  1    it failed: the message says what, and how to go on
  2    arguments, environment or configuration file are wrong
  130  interrupted (Ctrl-C)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A command's words."""

    summary: str
    """For the list of commands."""
    description: str
    """Above the options."""
    epilog: str = EXIT_CODES
    """Below them."""


MAIN = Text(
    summary="",
    description="""\
A peer-to-peer mirror for container images: containerd, docker and podman pull through it,
unchanged, and the registry sends each layer once, whatever the number of hosts.
""",
    epilog=f"""\
examples:
  eagle-node demo        three nodes pull an image at once, on this machine
  eagle-node run         a node with every role
  eagle-node run --role auto
                         the same on each host: they find each other, and elect
  eagle-node run --seeder 10.0.0.1 --tracker http://10.0.0.1:6969
                         a node that uses the one at 10.0.0.1
  eagle-node status      what the node on this host does, and what it saves
  eagle-node tui         the same and more, live
  eagle-node preheat ghcr.io/team/app:1.2
                         the image to all nodes, before anybody pulls it

{EXIT_CODES}""",
)

RUN = Text(
    summary="run a node",
    description="""\
Run a node until it is stopped (SIGTERM, Ctrl-C). Point container runtimes at --proxy-listen.
""",
    epilog=f"""\
sources:
  A flag wins over its environment variable, that over the file, that over the default:
  --upload-limit 50MB is {ENVIRONMENT_PREFIX}UPLOAD_LIMIT=50MB in the environment and
  upload-limit = "50MB" in the file. Repeatable options are lists in the file and separated by
  blanks in the environment; the highest source that sets one replaces the others' list.

sizes:
  50MB is 50,000,000 bytes; 50M and 50MiB are 52,428,800. Rates are sizes per second.

examples:
  eagle-node run
  eagle-node run --config /etc/eagle-node/config.toml --cache-size 100GiB
  eagle-node run --seeder 10.0.0.1 --tracker http://10.0.0.1:6969 --zone eu-1 --rack 7
  eagle-node run --registry ghcr.io=https://harbor.example --upload-limit 50MB

{EXIT_CODES.replace("all is well", "stopped by SIGTERM")}""",
)

STATUS = Text(
    summary="show whether a running node works, and what it saves",
    description="""\
Show whether a running node works and what it saves: where the bytes that clients got came from,
when one was last served, its cache, roles and cluster.
""",
)

TUI = Text(
    summary="watch and steer a running node on a full screen",
    description="""\
Watch a running node and its cluster live: savings, throughput, members, transfers, blobs, preheat
jobs, events and settings. Keys: 1 to 7 for the pages, ? for the others.
""",
    epilog=f"""\
in a browser:
  eagle-node tui --web prints an address with a secret; whoever opens it can steer the node. From
  another machine: ssh -L 43080:127.0.0.1:43080 HOST eagle-node tui --web

{EXIT_CODES}""",
)

GET = Text(
    summary="fetch an image, a blob or a file through the swarm",
    description="""\
Fetch an image, a blob or any file of an HTTPS server through the node on this host, and so from the
other nodes where they have it. Every byte is verified. What is broken off is gone on with by the
same command; nothing has its final name before it is whole.

A file without --digest is read once to learn what it is. The node remembers that with the URL
(without its secrets), and the next fetch brings the same bytes or fails; --trust-new accepts what
has changed.
""",
    epilog=f"""\
examples:
  eagle-node get ghcr.io/team/app:1.2 -o app         an OCI layout in the directory app
  eagle-node get nginx --format docker -o - | docker load
  eagle-node get nginx --format cache                only into the node's cache
  eagle-node get --blob ghcr.io/team/app@sha256:0123… -o layer.tar.gz
  eagle-node get https://example.com/model.bin       as it was at the first fetch
  eagle-node get https://example.com/model.bin --digest sha256:0123… -o model.bin
  eagle-node get https://example.com/model.bin -H 'Authorization: Bearer …'

{EXIT_CODES}""",
)

PREHEAT = Text(
    summary="bring an image to nodes before anybody pulls it",
    description="""\
Bring an image to nodes before anybody pulls it, and wait until every node has verified every blob.
The job is the node's: it goes on after Ctrl-C, and after a restart of the node.
""",
    epilog=f"""\
examples:
  eagle-node preheat ghcr.io/team/app:1.2
  eagle-node preheat ghcr.io/team/app:1.2 --nodes zone=eu-1
  eagle-node preheat nginx --nodes seeders --platform linux/arm64
  eagle-node preheat nginx --nodes 10% --detach
  eagle-node preheat --list

{EXIT_CODES}""",
)

DEMO = Text(
    summary="see it work on this machine",
    description="""\
Start a registry and some nodes on this machine's loopback, pull one image through all nodes at
once, check every byte, and show where the bytes came from. Nothing is left behind.
""",
)

KEYS = Text(
    summary="make and change the cluster key",
    description="""\
Manage the cluster key file. Its first key is in use: it seals gossip and signs certificates. All of
its keys are accepted.
""",
    epilog=f"""\
to change the key without an outage:
  eagle-node keys add FILE           on one node; then, with its file as OTHER, on all others:
  eagle-node keys add FILE --from OTHER
  eagle-node keys use FILE KEY       on every node, once all accept the new key
  eagle-node keys remove FILE KEY    the old one, on every node, once all use the new key
  Gossip follows the file within seconds; TLS and the swarm take new keys when a node restarts, so
  restart the nodes one after the other between the steps.

{EXIT_CODES}""",
)

KEY_ACTIONS = {
    "generate": Text(
        summary="make a file with a new key",
        description="Make a file with a new random key. A file that is there is never replaced.\n",
    ),
    "list": Text(
        summary="show the keys' ids",
        description="Show the ids of a file's keys, the one in use first. An id tells no secret.\n",
    ),
    "add": Text(
        summary="accept one more key", description="Accept one more key, without using it.\n"
    ),
    "use": Text(
        summary="put one of the keys to use",
        description="Put one of the keys to use; the others are still accepted.\n",
    ),
    "remove": Text(
        summary="accept a key no longer", description="Remove a key that is not in use.\n"
    ),
}
"""What `KEYS` can do, by name."""

DOCTOR = Text(
    summary="find what keeps a node from working",
    description="""\
Look at this host as a node with these options would find it: ports, clock, disk, file limits,
certificates and keys, container runtimes, and whether registries, seeders, trackers and members can
be reached. Each finding comes with its remedy. Nothing is changed. Give it the options of run, or
the same --config (the service's file is found by itself); a node that runs is asked for its ports.
""",
    epilog=f"""\
examples:
  eagle-node doctor
  eagle-node doctor --config other-node.toml --json

{EXIT_CODES}""",
)

MIRROR = Text(
    summary="point container runtimes at the node",
    description="""\
Have this host's container runtimes ask the node first, and the registry itself when the node cannot
help or is down. What others have configured stays as it is, and uninstall gives it back exactly.
""",
    epilog=f"""\
examples:
  eagle-node mirror install --dry-run       what would change, as a diff
  eagle-node mirror install                 every runtime of this host, every registry it can
  eagle-node mirror install --runtime containerd --registry ghcr.io --registry registry.example:5000
  eagle-node mirror check                   prove with a real pull that the node is asked
  eagle-node mirror uninstall

{EXIT_CODES}""",
)

MIRROR_ACTIONS = {
    "install": Text(
        summary="have runtimes ask the node first",
        description="""\
Write /etc/containerd/certs.d/*/hosts.toml (and config_path in its config.toml),
/etc/docker/daemon.json, and /etc/containers/registries.conf.d (podman, skopeo, buildah, CRI-O).
A second run changes nothing. Copies of changed files are kept in /etc/eagle-node/mirror.
""",
    ),
    "uninstall": Text(
        summary="take that back",
        description="""\
Give every file back as it was; where others have changed it since, take just our part out.
""",
    ),
    "show": Text(
        summary="what the runtimes' files say",
        description="Show which registries' pulls ask the node first, and which file says so.\n",
    ),
    "check": Text(
        summary="prove that pulls pass the node",
        description="""\
Have each runtime pull a tiny image that only the node has, and ask the node whether it was asked.
Each finding comes with its remedy; status 1 when pulls do not pass the node.
""",
    ),
}
"""What `MIRROR` can do, by name."""

CA = Text(
    summary="let the proxy open HTTPS to registries",
    description="""\
Manage this host's own certificate authority. With it the proxy opens the HTTPS connections that
container runtimes make through it (HTTPS_PROXY) to the hosts on the intercept list, so that their
layers come from the swarm. The CA never leaves the host, and can sign these hosts only.
""",
    epilog=f"""\
to open HTTPS to a registry:
  eagle-node ca init --intercept registry.example
  eagle-node ca trust --intercept registry.example     as root; then restart containerd and dockerd
  eagle-node run --intercept registry.example
  HTTPS_PROXY=http://127.0.0.1:43002 skopeo inspect docker://registry.example/team/app
  With a configuration file, --config FILE in place of the options.

{EXIT_CODES}""",
)

CA_ACTIONS = {
    "init": Text(
        summary="make the CA",
        description="""\
Make a CA that can sign the hosts on the intercept list, and keep it in the data directory. A CA
that is there is not replaced.
""",
    ),
    "show": Text(
        summary="print the CA's certificate",
        description="Print the CA's fingerprint, expiry and hosts, and its certificate in PEM.\n",
    ),
    "trust": Text(
        summary="have this host's programs trust it",
        description="""\
Install the CA's certificate in the system's store, and where dockerd, podman and their like keep
certificates of single registries. Needs root. A node opens nothing with a CA that is not trusted.
""",
    ),
}
"""What `CA` can do, by name."""

COMPLETION = Text(
    summary="print a shell's completion script",
    description="Print the completion script of a shell.\n",
    epilog=f"""\
to install it:
  eagle-node completion bash > /usr/share/bash-completion/completions/eagle-node
  eagle-node completion zsh > "${{fpath[1]}}/_eagle-node"
  eagle-node completion fish > ~/.config/fish/completions/eagle-node.fish

{EXIT_CODES}""",
)

MAN = Text(
    summary="print the manual page",
    description="Print the manual page, for man(1): eagle-node man | man -l -\n",
)

VERSION = Text(summary="print the version", description="Print the version.\n")
