"""Values that every floor shares. No IO.

``digest``, ``ids``         names of content, nodes and torrents
``ranges``, ``intervals``   bytes of a request, and of a blob
``sizes``                   sizes and rates as people write them
``errors``                  the error family, ``findings`` what a check has found
``rendezvous``              an order of nodes on which all agree without talking
``bounded``                 a memory of bounded size
``check_image``             a tiny image that only a node serves
"""
