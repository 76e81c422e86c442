"""Who may be a node of this cluster, and whom this host's clients take for a registry.

``key``           the key file, and keys derived from it for each use
``keyfile``       the key file of a running node, followed while keys are rotated
``authority``     the cluster's CA, the same bytes on every node that has the key
``certificates``  this process's certificate, and TLS for HTTP, gRPC and BitTorrent made from it
``dh``            the Diffie-Hellman group that libtorrent wants to be told
``chain``         a certificate with its key, given to TLS without a file on disk

There is no enrolment: who has the key makes its own certificate. Names in certificates prove
nothing beyond that, so nodes may have any address.

Apart from the cluster key, a host may have a CA of its own, which opens HTTPS connections that its
container runtimes make through the proxy. It never leaves the host, and signs no other names than
it was made for.

``local_ca``      that CA: its file, and what it may sign
``local_ca_file`` the CA of a running node, which may be made or replaced meanwhile
``leaves``        short-lived certificates of the hosts that are opened
``stores``        where a host's programs look up which CAs to trust
"""
