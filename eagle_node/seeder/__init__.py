"""The seeder: fetches a blob once, cuts it into segments, is their first uploader.

``writer``   an in-order byte stream into segment files
``origin``   a transfer's source of last resort: the blob store, then the registry, resumed by Range
``archive``  keeps verified blobs in the pluggable blob store, and finds them there again
``service``  answers peers: metainfo of segments as they become ready
"""
