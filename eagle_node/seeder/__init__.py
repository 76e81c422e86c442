"""The seeder: fetches a blob once, cuts it into segments, is their first uploader.

``writer``   an in-order byte stream into segment files
``source``   what bytes are fetched from
``parts``    parts of segments, where readers want no more
``origin``   a transfer's source of last resort: the blob store, then the registry, resumed by Range
``turns``    who draws on the origin when: what is asked for first, large layers one by one
``archive``  keeps verified blobs in the pluggable blob store, and finds them there again
``origins``  makes the sources of transfers out of these
``ahead``    fetches what a manifest names before it is asked for
``interest`` what a peer that wants only parts has the origin send
``rights``   whom a fetch proves to be a reader
``desk``     asks registries for manifests and rights, once for all nodes
``looks``    reads files of web servers, whose digest nobody knows before
``service``  answers peers: metainfo of segments as they become ready
"""
