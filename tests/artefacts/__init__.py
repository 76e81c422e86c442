"""What ``make package`` built, proven: each artefact pulls a real image in a bare environment.

``python -m tests.artefacts [--dist DIR] [NAME …]`` (see `__main__`) wants the artefacts built, and
root. Nothing of the developer's environment reaches them: no variables, an empty home, no virtual
environment, and where an artefact brings its own Python, a file system without one.

    starts     how each artefact is started in its bare environment
    journey    two nodes of it, a registry, a bucket, a client: what must come out
    hosts      the installer over ssh, on three hosts
    measure    time to readiness and memory at rest
"""
