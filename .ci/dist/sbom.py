"""Writes parts down as CycloneDX 1.6 has them: the same parts give the same bytes."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from gateway.licences import Kind, Part, document

REGISTRIES: Mapping[Kind, tuple[str, str]] = {
    Kind.OURS: ("generic", ""),
    Kind.SCRIPT: ("npm", ""),
    Kind.DATA: ("pypi", ""),
    Kind.PYTHON: ("pypi", ""),
    Kind.NATIVE: ("generic", ""),
    Kind.CRATE: ("cargo", ""),
    Kind.DEBIAN: ("deb", "debian"),
}
"""Type and namespace of a part's package URL."""


def write_sbom(parts: Sequence[Part], out: Path) -> None:
    """Write the parts of one program, dated $SOURCE_DATE_EPOCH.

    Exits if that is not set, or if what would be written is not what the schema asks for.
    """
    if not (seconds := os.environ.get("SOURCE_DATE_EPOCH")):
        sys.exit("sbom.py: SOURCE_DATE_EPOCH is not set: give it the time of the commit that was built")
    text = as_cyclonedx(parts, datetime.fromtimestamp(int(seconds), UTC))
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"sbom.py: this is not CycloneDX 1.6: {error}")
    out.write_text(text, encoding="utf-8")


def as_cyclonedx(parts: Sequence[Part], at: datetime) -> str:
    """Return the document: our own program, and what is inside, with what is inside of that in turn."""
    [ours] = [part for part in parts if part.kind is Kind.OURS]
    program = _component(ours, (), ComponentType.APPLICATION)
    outer = [part for part in parts if part.kind is not Kind.OURS and not part.within]
    inner = [_component(part, (each for each in parts if each.within == part.name)) for part in outer]
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, document(parts)),
        metadata=BomMetaData(component=program, timestamp=at),
        components=inner,
    )
    bom.register_dependency(program, inner)
    for component in inner:
        bom.register_dependency(component, component.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(part: Part, inside: Iterable[Part], kind: ComponentType = ComponentType.LIBRARY) -> Component:
    purl = _purl(part)
    return Component(
        type=ComponentType.DATA if part.kind is Kind.DATA else kind,
        name=part.name,
        version=part.version or None,
        bom_ref=f"{part.within}/{purl}" if part.within else str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(part.homepage))]
        if part.homepage
        else [],
        components=[_component(each, ()) for each in inside],
    )


def _purl(part: Part) -> PackageURL:
    registry, namespace = REGISTRIES[part.kind]
    scope, _, name = part.name.rpartition("/")
    qualifiers = {"arch": "source", "distro": "debian-12"} if part.kind is Kind.DEBIAN else {}
    return PackageURL(registry, namespace or scope, name, part.version or None, qualifiers)
