"""docs/gigenet.md tells every difference that there is, and no other."""

import re
from dataclasses import fields

from protocols.ec2.dialects import AWS, GIGENET
from protocols.ec2.errors import EC2_FAULTS, STS_FAULTS
from tests.running import REPOSITORY

PAGE = (REPOSITORY / "docs" / "gigenet.md").read_text()

# Tables of a dialect, of which each entry is a difference; the overlay is what these need of the model.
TABLES = ("rewrites", "spellings", "defaults", "filter_words")
NEVER_TOLD = {"name", "notes", "overlay", *TABLES}


def rows():
    """Return the rows of the table by the names in their first column."""
    lines = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    return {name: cells for first, *cells in lines for name in re.findall(r"`([^`]+)`", first)}


def test_the_table_tells_every_difference_and_no_other():
    single = {each.name for each in fields(GIGENET)} - NEVER_TOLD
    differing = {name for name in single if getattr(AWS, name) != getattr(GIGENET, name)}
    entries = {entry for table in TABLES for entry in getattr(GIGENET, table)}
    assert rows().keys() == differing | entries


def test_the_statuses_are_those_of_the_tables():
    told = {int(number) for number in re.findall(r"\d+", rows()["statuses"][0])}
    known = {row.status for table in (EC2_FAULTS, STS_FAULTS) for row in table._rows.values()} | {401, 405, 415, 500}
    assert told >= known
    assert {GIGENET.statuses.get(status, status) for status in told} == {400, 401, 500}


def test_the_defaults_are_those_of_the_dialect():
    assert GIGENET.defaults["RunInstances"] == {"BillingTerm": 730, "MinCount": 1, "MaxCount": 1}
    assert "`BillingTerm` is 730" in rows()["RunInstances"][1]
