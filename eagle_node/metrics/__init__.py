"""Every instrument of the node in one place, by Prometheus conventions."""
