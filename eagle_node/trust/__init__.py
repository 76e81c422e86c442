"""The cluster key and what follows from it: who may be a node of this cluster.

``key``           the key file, and keys derived from it for each use
``keyfile``       the key file of a running node, followed while keys are rotated
``authority``     the cluster's CA, the same bytes on every node that has the key
``certificates``  this process's certificate, and TLS for HTTP, gRPC and BitTorrent made from it
``dh``            the Diffie-Hellman group that libtorrent wants to be told

There is no enrolment: who has the key makes its own certificate. Names in certificates prove
nothing beyond that, so nodes may have any address.
"""
