"""The composition root: builds every part of a node from its configuration, and runs them.

``identity``  who this node is and where others reach it
``parts``     the parts that all others build on, what they know of the cluster
``build``     starts the roles on them, wires their events
``status``    what the control API tells about them
``run``       start, serve until cancelled, stop in reverse
"""

from eagle_node.node.run import NodePorts, run_node

__all__ = ["NodePorts", "run_node"]
