"""The control API: what a node tells about itself over HTTP, and how it is steered.

::

    handlers ─► routes          the table: paths, schemas, who may ask
       ├──────► source          what the node answers (the composition root implements it)
       ├──────► event_stream ─► event_log   the newest events, and who listens
       ├──────► guard           tokens, and no web pages of others
       └──────► openapi ─► field_docs       the description, made of the table and the schemas

``schema`` says what the documents hold and ``codec`` turns them to JSON and back; ``query`` parses
parameters, ``problems`` renders errors (RFC 9457), ``sse`` is the format of event streams;
``client`` is the other end, for the command line and the dashboard, ``labels`` what people call
nodes there; ``token`` reads the secret, ``naming`` gives requests their names.
"""
