"""What ``make package`` built, proven: each artefact pulls a real image in a bare environment.

``python -m tests.artefacts [--dist DIR] [NAME …]`` (see `__main__`) wants the artefacts built, and
root. Nothing of the developer's environment reaches them: no variables, an empty home, no virtual
environment, and where an artefact brings its own Python, a file system without one.

    starts     how each artefact is started in its bare environment
    journey    two nodes of it, a registry, a bucket, a client: what must come out
    service    the Debian package's unit: ready, shut in, with and without the virtual address
    engines    the image by docker-compose and by podman
    systemd    the Debian package's whole life on a machine that systemd has booted
    hosts      the installer over ssh, on three hosts
    emulated   a pex or a zipapp for another architecture, under qemu
    confined   what the unit allows, without systemd
    machine    a Debian with systemd as first process, in namespaces
    ways       all of them, by the artefact's name
"""
