"""The control API: what a node tells about itself over HTTP, on loopback unless told otherwise.

`schema` says what the documents hold and `codec` turns them to JSON and back; `handlers` serves
them from a `StatusSource`, which the composition root implements; `client` is the other end, for
the command line and the dashboard. Everything is read-only.
"""
