"""What runs the parts: named tasks, listening sockets with clear errors, byte budgets,
locks, look-ups of host names that take no longer than a client can wait."""
