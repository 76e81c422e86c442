"""The side that container runtimes talk to: a registry mirror, and a forward proxy.

``server``          the listener: which handler a request is for, errors as OCI JSON
``protocol``        what is no HTTP gets an OCI error as well
``rules``           which requests go through the swarm, as a pure function
``blobs``           blobs from cache, swarm or origin; ranges; streaming while they arrive
``conditional``     If-None-Match and HEAD, the same for blobs and manifests
``manifests``       manifests, marked when they are the registry's old word
``ahead``           what a manifest names is fetched by the seeders before it is asked for
``files``           files of web servers, by URL and digest
``looks``           what their digest was at the first fetch, and whether it still is
``passing``         everything else, passed on as it is
``writes``          what clients change there voids what is remembered of it
``way_out``         what to do where a mirror is shown no credentials
``check``           the check image, and which of its tags were pulled from here
``multipart``       several ranges in one answer
``send``            file slices into a client's socket
``send_passed``     what is not kept here, on its way from other nodes

HTTPS comes as ``CONNECT``, and is opened with the local CA or tunnelled:

``front``          the first bytes of a connection: a ``CONNECT``, or HTTP for ``server``
``intercept``      what becomes of a ``CONNECT``, as a pure function
``connect``        serves it: opens, tunnels or refuses
``opening``        TLS as somebody else, and HTTP within
``dial``, ``tunnel``  a connection to the server, joined to the client's
``forward``        requests that name their server, in plain HTTP or on an opened connection
"""
