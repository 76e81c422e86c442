"""The composition root: builds every part of a node from its configuration, and runs them.

``identity``  finds out who this node is and where others reach it
``place``     knows that, and the cluster's seeders and trackers
``parts``     the parts that all others build on, ``registries`` those that ask registries
``build``     starts the roles on them, in their order
``tracking``, ``seeding``, ``downloading``, ``preheating``, ``proxying``  each starts one of them
``steering``  starts the control API and webhooks; ``serving`` listens for both
``status``    what the control API tells about them; ``control`` steers them
``cluster_view``  members, leases, their changes; ``activity`` what moves, ``shares`` between whom;
``images``    what content is called
``settings``  what can be changed at run time, ``log_events`` log lines for who listens
``run``       start, serve until cancelled, stop in reverse
"""

from eagle_node.node.run import NodePorts, run_node

__all__ = ["NodePorts", "run_node"]
