"""The program that PyInstaller packs."""

import sys

from eagle_node.cli.main import main

sys.exit(main())
