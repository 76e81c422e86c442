"""The cache: what a node holds, whole or arriving.

``segments``  the layout of a blob as a pure function of its size (wire constant)
``eviction``  which blobs to drop, as a pure function
``index``     what is committed, arriving and how recently used, in SQLite
``arrival``   one arriving blob: segments in, in-order bytes out, verified before commit
``demand``    what readers want of it: whole segments, or parts of them
``parts``     writes parts of segments
``cache``     opens, reserves, commits, evicts; crash-safe by atomic rename
``residents``, ``reservations``  what takes room: whole blobs, and those on their way (no IO)
``room``      how much fits
``files``     where blobs lie on the disk, ``survey`` what lies there at the start
``lent``      whole blobs in files of others, who may take them away
``reader``    bytes of a committed or arriving blob, in order, as file slices
"""
