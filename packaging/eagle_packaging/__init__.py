"""Builds what ``make package`` puts into ``dist/``; imports nothing of the program itself.

``python -m eagle_packaging ARTEFACT …`` (see `__main__`) runs in a virtual environment that holds
``packaging/requirements.txt`` and nothing else. In the order in which they build on each other:

    place        where things are, and the one date that all artefacts carry
    lock         ``requirements.lock`` -> the pins of what a running node needs
    archive      zip and tar files whose bytes depend on their content only
    wheels       wheel and sdist of the project; wheels of what it needs, checked against the lock
    zipapp       eagle-node.pyz: all wheels in one file that any Python of a list can run
    bootstrap    the first lines that eagle-node.pyz runs: unpack once, then start
    pex          eagle-node.pex: the same by pex
    executable   eagle-node: PyInstaller's, with Python inside; as one file and as a directory
    deb          the Debian package around that directory
    image        the OCI image around that directory, with the C library that it needs
    sbom         eagle-node.cdx.json: what is inside, in CycloneDX
    helpers      man page and shell completions

Two builds from the same commit, lock and base system are the same bytes: no clock is read, files
are visited in sorted order, owners and modes are set, Python's hashes are seeded.
"""
