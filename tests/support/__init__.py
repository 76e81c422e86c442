"""The ground that tests and benchmarks stand on: real servers, real clients, real networks.

Everything is an async context manager that owns what it starts. A process started here cannot
outlive the test process (``PR_SET_PDEATHSIG``), and neither can a network namespace (a janitor
process holds the other end of a pipe). All traffic stays on loopback or inside such namespaces.

- `process`: child processes, their logs, and commands that run to their end
- `netns`: shaped network namespaces joined by bridges, with byte counters
- `http`: a plain client that checks digests
- `images`: deterministic images from real files; `registry`: Debian's docker-registry
- `node`: a real eagle-node process; `clients`: containerd, dockerd, podman and skopeo
- `terminal`: tmux; `browser`: what a browser does with the dashboard; `collector`: takes traces
"""
