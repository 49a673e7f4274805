"""deploy/alerts.yml and docs/monitoring.md: what they name is there, and what is there they name."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from core.errors import StoreUnavailable
from protocols.console.errors import fault_of as console_fault
from protocols.ec2.errors import fault_of as ec2_fault
from protocols.zerosix.errors import fault_of as zerosix_fault
from tests.end_to_end.commands import need_tool
from tests.running import REPOSITORY, RunningGateway, eventually

FILE = REPOSITORY / "deploy" / "alerts.yml"
PAGE = REPOSITORY / "docs" / "monitoring.md"
CERTIFICATE = Path(__file__).parent / "stage" / "certificate.py"
SCENES = Path(__file__).with_name("alerts.scenes.yml")

NAME = re.compile(r"\b(?:onefleet|process|python)_[a-z0-9_]+")
PROMETHEUS_OWN = {"up"}
SHOWN_WITH = {"_bucket", "_sum", "_count"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]


of_each_rule = pytest.mark.parametrize("rule", rules(), ids=[rule["alert"] for rule in rules()])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with all that it can tell of: it has a certificate, and machines that were sampled twice."""
    folder = tmp_path_factory.mktemp("told")
    subprocess.run([sys.executable, CERTIFICATE, "-1", "30", folder], check=True)
    tls = {"certificate": str(folder / "fullchain.pem"), "key": str(folder / "privkey.pem")}
    with RunningGateway(folder, server={"tls": tls}, compute={"sample_seconds": 1}) as running:
        pair = f"consumer_key={running.keys.access_key}&consumer_secret={running.keys.secret_key}"
        assert running.request("PUT", f"/wp-json/api/v1/orders?product_id=1&instances=1&{pair}").status == 200
        eventually(lambda: "onefleet_used_cpus{" in running.get("/metrics").text, what="a second sample")
        yield running


def exposed(gateway: RunningGateway) -> dict[str, set[str]]:
    """Return the labels of each metric, by the name that it is asked for."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(gateway.get("/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def told() -> dict[str, set[str]]:
    """Return the labels of each metric in the page's table."""
    cells = re.findall(r"^\| (`(?:onefleet|process|python)_.+?) \|", PAGE.read_text(), re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(\w+)(?:\{(.+?)\})?`", cell)]
    return {name: {label.strip() for label in labels.split(",")} - {""} for name, labels in names}


def test_the_page_has_every_metric_with_its_labels_and_no_other(gateway):
    assert told() == exposed(gateway)


@of_each_rule
def test_an_alert_is_about_metrics_that_there_are(rule, gateway):
    known = {f"{name}{ending}" for name in exposed(gateway) for ending in ("", *SHOWN_WITH)} | PROMETHEUS_OWN
    without_values = re.sub(r'"[^"]*"', "", rule["expr"])
    assert set(NAME.findall(without_values)) <= known


@of_each_rule
def test_an_alert_says_how_bad_it_is_and_leads_to_what_to_do(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (REPOSITORY / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_the_page_lists_every_alert():
    text = PAGE.read_text()
    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in text] == []


def test_the_faults_that_are_counted_are_those_of_ours():
    [expression] = [rule["expr"] for rule in rules() if rule["alert"] == "OnefleetServerFaults"]
    codes = set(re.search(r'code=~"(.+?)"', expression)[1].split("|"))
    fault_of = (partial(ec2_fault, is_sts=False), partial(ec2_fault, is_sts=True), zerosix_fault, console_fault)
    ours = (StoreUnavailable(), RuntimeError("a fault"))
    assert {find(error).code for find in fault_of for error in ours} <= codes


def test_the_metrics_tell_when_the_certificate_in_use_expires(gateway):
    days = (gateway.metric("onefleet_certificate_expires_seconds") - time.time()) / 86400
    assert days == pytest.approx(30, abs=0.1)


def test_a_new_certificate_is_told_of_once_it_is_in_use(gateway):
    subprocess.run([sys.executable, CERTIFICATE, "-1", "90", gateway.folder], check=True)
    gateway.signal(signal.SIGHUP)
    ends = time.time() + 89 * 86400
    eventually(lambda: gateway.metric("onefleet_certificate_expires_seconds") > ends, what="the new certificate")


def test_the_metrics_tell_what_is_free_on_the_disk(gateway):
    assert gateway.metric("onefleet_disk_free_bytes") == pytest.approx(disk_usage(gateway.data).free, rel=0.1)


def test_prometheus_takes_the_file():
    promtool = need_tool("unpacked/usr/bin/promtool")
    done = subprocess.run([promtool, "check", "rules", FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_comes_when_it_should_and_not_before(tmp_path):
    promtool, scenes = need_tool("unpacked/usr/bin/promtool"), SCENES.read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in scenes] == []
    (tmp_path / "scenes.yml").write_text(scenes.replace("RULES", str(FILE)))
    command = [promtool, "test", "rules", tmp_path / "scenes.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
