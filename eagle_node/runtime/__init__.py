"""What runs the parts.

``tasks``         named background tasks, ``threads`` work in threads that outlives no resource
``sockets``       listening addresses and sockets, with errors that name the flag to change
``lookup``        host names, for no longer than a client can wait
``lock``          one process per data directory
``budget``        a token bucket that many readers share
``singleflight``  one piece of work for all who ask for the same thing at the same time
``sendfile``      files to clients
``clock``         monotonic time as a value
``context``       what a request carries, ``tracing`` the spans of its trace
"""
