"""Preheating: images at nodes before anybody pulls them.

::

    webhooks ─► jobs ─► resolve      manifest by manifest, to the blobs
                            ├────► selection    which of the nodes: pure
                            ├────► store        jobs in SQLite, so that they survive a restart
                            └────► tracker      an errand, renewed until every target has ended
    worker                                      the other end: fetches what waits at trackers

A node cannot be dialled by others, so what is wanted of it waits at the trackers, which every node
tells of itself anyway (`tracker.errands`); with a cluster key this is TLS among members. A job has
succeeded when every target has reported that it has verified every blob, and not before.

``platforms``       which manifests of an index are wanted: pure
``notifications``   what registries and Harbor tell of pushes: pure
``providers``       the two protocols in which Harbor asks for preheating: pure
"""
