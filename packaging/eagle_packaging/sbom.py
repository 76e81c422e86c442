"""eagle-node.cdx.json: what the artefacts hold, as CycloneDX 1.6 (ECMA-424).

Names, versions and hashes come from the lock, licences from the wheels' own metadata. The document
has no random serial: it is named by its content.
"""

from __future__ import annotations

import email.parser
import json
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

from eagle_packaging.lock import Pin, normalized, runtime_pins
from eagle_packaging.place import NAME, PYTHONS, Place
from eagle_packaging.wheels import fetch_wheels

SERIAL_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""The name space of URLs (RFC 4122 appendix C)."""


def build_sbom(place: Place, wheel: Path) -> Path:
    """Write ``eagle-node.cdx.json``."""
    wheels = {_wheel_name(path): path for path in fetch_wheels(place, PYTHONS[0])}
    licences = {name: licence_of(metadata(path)) for name, path in wheels.items()}
    document = describe(
        place.version,
        licence_of(metadata(wheel)),
        runtime_pins(place.root),
        licences,
        epoch=place.epoch,
    )
    target = place.dist / "eagle-node.cdx.json"
    target.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    return target


def describe(
    version: str,
    licence: str | None,
    pins: Iterable[Pin],
    licences: Mapping[str, str | None],
    *,
    epoch: int,
) -> dict[str, Any]:
    """The document; ``licences`` holds what is known of the pins, by name."""
    pins = list(pins)
    root = _purl(NAME, version)
    names = {NAME: root} | {pin.name: _purl(pin.name, pin.version) for pin in pins}
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": _component(NAME, version, licence, (), kind="application"),
        },
        "components": [
            _component(pin.name, pin.version, licences.get(pin.name), pin.hashes) for pin in pins
        ],
        "dependencies": [
            {
                "ref": ref,
                "dependsOn": sorted(names[pin.name] for pin in pins if name in pin.via),
            }
            for name, ref in names.items()
        ],
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(SERIAL_SPACE, content)}"
    return document


def metadata(wheel: Path) -> Message:
    """A wheel's core metadata."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(
            name
            for name in archive.namelist()
            if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
        )
        return email.parser.Parser().parsestr(archive.read(name).decode())


def licence_of(described: Message) -> str | None:
    """An SPDX expression, or the licence's name in the author's words; None if neither is told."""
    if expression := described.get("License-Expression"):
        return str(expression)
    classifiers = [
        str(each).rpartition(" :: ")[2]
        for each in described.get_all("Classifier", [])
        if str(each).startswith("License :: ")
    ]
    if classifiers:
        return ", ".join(classifiers)
    text = str(described.get("License") or "").strip()
    return text if text and "\n" not in text else None


def _component(
    name: str, version: str, licence: str | None, hashes: Iterable[str], *, kind: str = "library"
) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": kind,
        "bom-ref": _purl(name, version),
        "name": name,
        "version": version,
        "purl": _purl(name, version),
    }
    if licence is not None:
        component["licenses"] = [{"license": {"name": licence}}]
    if hashes:
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": _purl(name, version),
                "comment": "any of the files of this version that the lock admits",
                "hashes": [
                    {"alg": "SHA-256", "content": each.removeprefix("sha256:")} for each in hashes
                ],
            }
        ]
    return component


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _wheel_name(path: Path) -> str:
    return normalized(path.name.partition("-")[0])
