"""``python -m eagle_packaging.manifests FILE …``: Kubernetes manifests against the API's schemas.

Strict: a field that a release does not know is an error. The schemas come with the package
kubernetes-validate, so nothing is downloaded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

RELEASES = ("1.27", "1.31", "1.37")
"""The oldest and newest that the example is for, and one between."""


def main(paths: Sequence[str]) -> int:
    """Check every document of every file with every release; 1 if one is wrong."""
    import kubernetes_validate
    import yaml

    failed = False
    for path in paths:
        documents = [each for each in yaml.safe_load_all(Path(path).read_text()) if each]
        for document in documents:
            for release in RELEASES:
                try:
                    kubernetes_validate.validate(document, release, strict=True)
                except kubernetes_validate.ValidationError as error:
                    failed = True
                    where = "/".join(map(str, error.path))
                    kind = f"{document['kind']} {document['metadata']['name']}"
                    print(f"{path}: {kind}, Kubernetes {release}: {where}: {error.message}")
        print(f"{path}: {len(documents)} documents, Kubernetes {', '.join(RELEASES)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
