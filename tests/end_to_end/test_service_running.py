"""The service on a host with systemd: what docs/service.md tells its reader to do is done, and holds."""

from collections import Counter

import pytest

from tests.docs.pages import OTHER_TEST, Block, blocks
from tests.docs.printed import is_as_told
from tests.running import REPOSITORY
from tests.systemd import Host, host

PAGE = REPOSITORY / "docs" / "service.md"

INSTALL = """
install -m 755 dist/onefleet /usr/local/bin/onefleet
onefleet service install
systemctl daemon-reload
systemctl start onefleet.socket onefleet.service
"""

# Started by hand, the service is up again only when it answers; after a failure, systemd lets it rest for a second.
ENDINGS = {
    "systemctl restart onefleet": 0,
    "systemctl kill --kill-whom=main --signal=KILL onefleet; sleep 1.5": 1,
}
"""Ways in which the service ends and begins anew, and how many requests are lost: those that it was answering."""

ASK_MEANWHILE = """
rm -f /run/enough
ask() { curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:8080/readyz || true; }
(until [ -e /run/enough ]; do ask; done >/run/answers) &
ENDING
touch /run/enough
wait
cat /run/answers
"""


@pytest.fixture(scope="module")
def systemd(tmp_path_factory):
    with host(tmp_path_factory.mktemp("systemd")) as started:
        started.run(INSTALL)
        yield started


@pytest.mark.parametrize(("ending", "lost"), ENDINGS.items())
def test_nobody_is_refused_while_the_service_is_down(systemd, ending, lost):
    answers = Counter(systemd.run(ASK_MEANWHILE.replace("ENDING", ending)).split())
    assert answers.keys() <= {"200", "000"}
    assert answers["200"]
    assert answers["000"] <= lost


def test_the_page_is_done_on_a_host_with_systemd(tmp_path):
    with host(tmp_path) as systemd:
        do_the_page(systemd)


def do_the_page(systemd: Host) -> None:
    """Do all that docs/service.md has its reader do on such a host, and see what it prints."""
    shown = [block for block in blocks(PAGE) if block.language == "text" or is_ours(block)]
    for block, after in zip(shown, [*shown[1:], None], strict=True):
        if block.language == "text":
            continue
        printed = systemd.run(block.text)
        if after is not None and after.language == "text":
            assert is_as_told(printed, after.text), f"{PAGE}:{block.line}\n{block.text}\n{printed}"


def is_ours(block: Block) -> bool:
    """Whether the page says that this file runs the block."""
    found = OTHER_TEST.fullmatch(block.note)
    return found is not None and (REPOSITORY / found["file"]).samefile(__file__)
