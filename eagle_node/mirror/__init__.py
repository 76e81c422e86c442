"""Points container runtimes at the node, and takes that back again.

    model       what is asked for, what is planned, what is recorded
    files       the seam to a system's files: a host's (below a root), or those in memory
    toml_text   marked blocks in TOML files of others (pure)
    json_text   one string more or less in a list of a JSON object of others (pure)
    containerd, hosts_toml, docker, registries
                one runtime's files each: existing text to new text (pure)
    plan        all runtimes' changes, for install and for uninstall (pure)
    record      what stood in each file before, kept beside the configuration of the node
    apply       writes a plan: all of it or nothing, each file in one step
    runtimes    which runtimes a host has
    show        what a system's files say about us
    content_store  where containerd keeps blobs, and which files are there now
    check       findings about a host's runtimes, each with its remedy: by their files, by when they
                were started, and by a pull of the check image, which only a node serves
    pull, cri   have a runtime pull an image

Nothing is written that cannot be read back as meant: each new text is parsed and compared with the
old one's meaning plus ours. What others wrote keeps its bytes. The registry itself always stays the
last place that a runtime asks, so that a node which is down costs nothing but its help.
"""
