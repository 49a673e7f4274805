"""docs/zerosix.md tells what the code declares."""

import re

from protocols.zerosix.errors import CALLER_FAULTS, REQUEST_FAULTS
from tests.goldenfiles import FOLDER
from tests.protocols.zerosix.served import SETTINGS
from tests.protocols.zerosix.test_openapi import ROUTES

DOCUMENT = "../../docs/zerosix.md"
BEGINNING, MARK, _ = re.split(r"(?<=do not edit below\. -->)(\n\n)", (FOLDER / DOCUMENT).read_text(), maxsplit=1)
EVERYWHERE = {*CALLER_FAULTS, *REQUEST_FAULTS}


def table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def values_of(schema):
    """Say in words what a schema allows."""
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema["type"] == "array":
        return f"list of: {values_of(schema['items'])}"
    if schema["type"] == "object":
        return "; ".join(f"`{name}`: {values_of(member)}" for name, member in schema["properties"].items())
    if "minimum" in schema:
        return bounds_of(schema["minimum"], schema["maximum"])
    return {"date-time": "time by ISO 8601"}.get(schema.get("format"), {"string": "text"}.get(schema["type"], "number"))


def bounds_of(least, most):
    return f"whole number from {least}" + (f" to {most}" if most < 10**6 else "")


def parameter_row(parameter):
    default = "**required**" if parameter.is_required else f"`{parameter.default}`" if parameter.default else ""
    code = f"`{parameter.fault.code}`" if parameter.fault else ""
    values = values_of(parameter.kind.schema(SETTINGS))
    return [f"`{parameter.name}`", values, default, parameter.description, code]


def words_of(fault):
    return "*says what is wrong*" if fault.text is str else fault.text(None)


def fault_rows(route, endpoint):
    variable = [route.variable] if route.variable else []
    own = [parameter.fault for parameter in (*variable, *endpoint.takes) if parameter.fault]
    told = dict.fromkeys(fault for fault in (*own, *endpoint.faults) if fault not in EVERYWHERE)
    return [[str(fault.status), f"`{fault.code}`", words_of(fault)] for fault in told]


def section(method, route, endpoint):
    """Return what is declared of one method of a route."""
    takes = [parameter for parameter in endpoint.takes if not parameter.name.startswith("_")]
    faults = fault_rows(route, endpoint)
    credentials = "; needs no credentials" if endpoint.is_public else ""
    body = "" if endpoint.gives.schema else ", without a body"
    parts = [
        f"### `{method} {route.template or '/'}`\n",
        f"{endpoint.summary}. Answers with {endpoint.gives.status}{body}{credentials}.\n",
        table(["parameter", "values", "default", "meaning", "refused as"], map(parameter_row, takes)) if takes else "",
        table(["status", "refusal", "message"], faults) if faults else "",
    ]
    return "\n".join(part for part in parts if part)


def test_the_tables_tell_what_the_code_declares(golden):
    sections = [section(method, route, endpoint) for route in ROUTES for method, endpoint in route.endpoints.items()]
    golden.check(DOCUMENT, BEGINNING + MARK + "\n".join(sections))
