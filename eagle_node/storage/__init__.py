"""The seeder's blob store (SSI): a small interface, drivers chosen by URL, plug-ins welcome.

``interface``        what a store can do, and what it says when it cannot
``open``             URL scheme -> driver, through entry points of the group ``eagle_node.storage``
``memory``           the in-memory twin
``obstore_driver``   directories, S3, Google Cloud Storage, Azure Blob Storage; ``upload_source``
                     what goes up, ``obstore_errors`` what goes wrong
``store_urls``       what the URLs of those mean
``conformance``      the tests that every driver passes; for plug-ins' test suites as well
"""
