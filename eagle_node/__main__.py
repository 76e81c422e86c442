"""``python -m eagle_node``: the same as the ``eagle-node`` command."""

from eagle_node.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
