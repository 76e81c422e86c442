"""Traces for an OpenTelemetry collector, for those who want them (the extra ``otel``).

`session` opens the tracer of a node, or says what is missing. The other files import OpenTelemetry
and are imported only then: `otel` makes spans of its SDK, `delivery` sends them, in a thread, from
a queue that drops what a slow or dead collector does not take.

What is recorded is said in the rooms that do the work, with `eagle_node.runtime.tracing`.
"""
