"""docs/incidents.md: each incident is made to happen on a stage, and what the page says mends it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.docs.pages import Block, blocks
from tests.docs.printed import is_as_told
from tests.docs.stage import Stage
from tests.machines import micro_image
from tests.running import REPOSITORY

__all__ = ["micro_image"]

PAGE = REPOSITORY / "docs" / "incidents.md"
FOLDER = Path(__file__).parent / "stage"

BEGINNING = """
    systemctl start onefleet
    cd /etc/onefleet
    onefleet key add --account 100000000001 --application shop
    """
BACKUP = "runuser -u onefleet -- onefleet backup /var/backups/onefleet/latest.tar.gz --with-key --force"


def written_later_by(seconds: int) -> str:
    """Return what makes the database look as if something in it had been written so much later."""
    return f"""
        python3 - <<PYTHON
        import sqlite3
        with sqlite3.connect("/var/lib/onefleet/onefleet.db") as db:
            db.execute("UPDATE api_keys SET created_at = created_at + {seconds * 1_000_000}")
        PYTHON
        """


# What happens, by the heading that it is told of under.
TROUBLES: Mapping[str, str] = {
    "When something breaks": "",
    "Disk full": """
        systemctl stop onefleet
        mv /var/lib/onefleet /var/lib/former
        mkdir /var/lib/onefleet
        mount -t tmpfs -o size=150m,mode=700,uid="$(id -u onefleet)" small /var/lib/onefleet
        cp -a /var/lib/former/. /var/lib/onefleet
        systemctl start onefleet
        cat /dev/zero >/var/lib/onefleet/onefleet.db.replaced-20261101T081500.000000Z
        onefleet account add "Too Late Ltd"
        """,
    "Hypervisor gone": """
        until [ "$(onefleet instance list --state running --json | jq length)" = 2 ]; do sleep 0.2; done
        onefleet instance stop --force 2
        kill -9 "$(</var/lib/onefleet/machines/1/qemu.pid)"
        until [ "$(onefleet instance list --state stopped --json | jq length)" = 2 ]; do sleep 0.2; done
        """,
    "Lost key file": f"""
        {BACKUP}
        rm /var/lib/onefleet/onefleet.key
        systemctl stop onefleet
        """,
    "Locked": """
        ln -s "$(readlink -f "$(command -v python3)")" /usr/local/bin/sqlite3
        cat >/stage/holder <<PYTHON
        import signal, sqlite3
        db = sqlite3.connect("/var/lib/onefleet/onefleet.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        signal.pause()
        PYTHON
        setsid sqlite3 /stage/holder </dev/null &>/dev/null &
        while onefleet account add "Too Late Ltd"; do :; done
        """,
    "Damaged": f"""
        {BACKUP}
        systemctl stop onefleet
        head -c 20000 /dev/urandom | dd of=/var/lib/onefleet/onefleet.db bs=4096 seek=3 conv=notrunc
        """,
    "Clock jumped": written_later_by(7200),
    "Certificate expired": f"""
        mkdir tls /root/new
        python3 {FOLDER}/certificate.py -95 -5 tls
        python3 {FOLDER}/certificate.py 0 90 /root/new
        chown -R onefleet tls
        sed -i 's,^#.server.tls.,[server.tls],; s,^#certificate =,certificate =,; s,^#key =,key =,' config.toml
        sed -i 's,curl ,curl -k ,; s,http://,https://,' /usr/local/bin/systemctl
        systemctl restart onefleet
        """,
    "Somebody's key leaked": "echo AKOFEXAMPLEACCESSKEY:EXAMPLESECRETKEY >/stage/stolen",
    "The key file leaked": "onefleet key list --json >/stage/before",
    "Requests fail": "",
    "The gateway does not start": """
        systemctl stop onefleet
        sed -i 's/^#max_body_kib/max_body_kb/' config.toml
        """,
}

# What has to be so afterwards, besides that the gateway is well.
OUTCOMES: Mapping[str, str] = {
    # No page can set the clock of a host that others share: here it is the database that comes back to the present.
    "Clock jumped": written_later_by(-7200),
    "Somebody's key leaked": """
        curl -k -u "$(</stage/stolen)" https://127.0.0.1:8080/wp-json/api/v1/orders && exit 1
        onefleet key list --json | jq -e --rawfile stolen /stage/stolen \\
            'any(.[]; .is_enabled == false and (.access_key as $key | $stolen | startswith($key)))'
        """,
    "The key file leaked": """
        onefleet key list --json | jq -e --slurpfile before /stage/before \\
            '[$before[0][] | select(.is_enabled).access_key] - [.[].access_key] | length > 0'
        """,
}


@contextmanager
def a_stage(folder: Path, *scripts: str) -> Iterator[Stage]:
    """Yield a stage on which the gateway runs as a service, and the first account has a key; scripts come before."""
    with Stage(folder) as stage:
        for name in ("gateway.sh", "service_user.sh"):
            stage.shell((FOLDER / name).read_text())
        for script in (*scripts, BEGINNING):
            stage.shell(dedent(script))
        yield stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for one incident after the other: each leaves it as well as it was."""
    with a_stage(tmp_path_factory.mktemp("incidents")) as stage:
        yield stage


def incidents() -> Mapping[str, Sequence[Block]]:
    """Return the page's blocks by the heading that they stand under."""
    by_heading: dict[str, list[Block]] = {}
    for block in blocks(PAGE):
        by_heading.setdefault(block.section.partition("# ")[2], []).append(block)
    return by_heading


@pytest.mark.parametrize("incident", [name for name in incidents() if name != "Hypervisor gone"])
def test_what_the_page_says_mends_it(stage, incident):
    happen(stage, TROUBLES[incident])
    follow(stage, incidents()[incident])
    stage.shell(dedent(OUTCOMES.get(incident, "true")))
    stage.shell("onefleet doctor >/stage/found && grep 'runs and is ready' /stage/found")


def test_what_the_page_says_brings_up_machines_that_were_killed_and_no_others(micro_image, tmp_path):
    image = f"MICRO={micro_image.disk.parent} MICRO_ARGUMENTS='{micro_image.kernel_arguments}'"
    with a_stage(tmp_path, image, (FOLDER / "machines.sh").read_text()) as stage:
        booking = "http://127.0.0.1:8080/wp-json/api/v1/orders?product_id=4&instances=2"
        stage.shell(f"curl -o /dev/null -u AKOFEXAMPLEACCESSKEY:EXAMPLESECRETKEY -X PUT '{booking}'")
        happen(stage, TROUBLES["Hypervisor gone"])
        follow(stage, incidents()["Hypervisor gone"])
        states = "onefleet instance list --json | jq -c 'map([.number, .state])'"
        stage.shell(f'until [ "$({states})" = \'[[1,"running"],[2,"stopped"]]\' ]; do sleep 0.2; done')


def happen(stage: Stage, script: str) -> None:
    """Make something happen, step by step; some of the steps are to fail."""
    stage.shell(f"set +e\n{dedent(script)}\ntrue")


def follow(stage: Stage, page: Sequence[Block]) -> None:
    """Do what the page says, step by step; it has to print what the page tells."""
    printed = ""
    for block in page:
        if block.language == "sh":
            printed = stage.shell(f"set +e\n{block.text}\ntrue")
        elif block.language == "text":
            assert is_as_told(printed, block.text), f"{PAGE.name}:{block.line}\n{block.text}\nit printed:\n{printed}"
