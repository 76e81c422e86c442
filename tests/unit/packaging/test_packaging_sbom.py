"""The bill of materials."""

from __future__ import annotations

import json
from email.parser import Parser
from pathlib import Path

import pytest
from eagle_packaging.lock import Pin, runtime_pins
from eagle_packaging.sbom import describe, licence_of

ROOT = Path(__file__).parents[3]
EPOCH = 1_700_000_000


def test_every_runtime_pin_is_a_component() -> None:
    """Name, version, package URL and hashes of all that an artefact holds, and who needs it."""
    pins = runtime_pins(ROOT)
    document = describe("1.2", "Apache-2.0", pins, {"aiohttp": "Apache-2.0"}, epoch=EPOCH)
    components = {each["name"]: each for each in document["components"]}
    assert list(components) == [pin.name for pin in pins]
    aiohttp = components["aiohttp"]
    assert aiohttp["purl"] == f"pkg:pypi/aiohttp@{aiohttp['version']}"
    assert aiohttp["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert {h["alg"] for r in aiohttp["externalReferences"] for h in r["hashes"]} == {"SHA-256"}
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert aiohttp["bom-ref"] in needs["pkg:pypi/eagle-node@1.2"]
    assert components["multidict"]["bom-ref"] in needs[aiohttp["bom-ref"]]


def test_every_reference_is_to_a_component() -> None:
    """The graph is closed, and says what CycloneDX 1.6 wants said."""
    document = describe("1.2", None, runtime_pins(ROOT), {}, epoch=EPOCH)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    known = {each["bom-ref"] for each in document["components"]}
    known.add(document["metadata"]["component"]["bom-ref"])
    for each in document["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= known


def test_the_serial_number_follows_from_the_content() -> None:
    """The same content has the same number, other content another one."""
    pins = [Pin(name="a", version="1", hashes=(), via=frozenset())]
    one = describe("1", None, pins, {}, epoch=EPOCH)
    assert json.dumps(one) == json.dumps(describe("1", None, pins, {}, epoch=EPOCH))
    assert one["serialNumber"] != describe("2", None, pins, {}, epoch=EPOCH)["serialNumber"]


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT\nLicense: old text", "MIT"),
        (
            "Classifier: Topic :: X\nClassifier: License :: OSI Approved :: MIT License",
            "MIT License",
        ),
        ("License: BSD", "BSD"),
        ("License: a long\n        text", None),
        ("Name: x", None),
    ],
)
def test_licences_are_taken_from_metadata(metadata: str, licence: str | None) -> None:
    """An expression first, then classifiers, then a short text."""
    assert licence_of(Parser().parsestr(metadata)) == licence
