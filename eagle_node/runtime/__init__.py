"""What runs the parts: named tasks, listening sockets with clear errors, byte budgets, locks."""
