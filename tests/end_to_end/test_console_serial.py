"""The serial console of a real machine, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.browser import Person, browser, open_to_all
from tests.machines import ending, micro_image, sections

__all__ = ["browser", "micro_image"]

BOOT_MS = 120_000
# The micro guest knows keys only; who sits at its console has none.
UNLOCKED = "#!/bin/sh\nsed -i 's/^root:[^:]*:/root::/' /etc/shadow\necho root is let in > /dev/ttyS0\n"
_OPEN = """
link => new Promise((done) => {
  const socket = new WebSocket(link);
  socket.onmessage = () => done("it spoke");
  socket.onclose = (event) => done(`closed: ${event.reason}`);
})
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, micro_image):
    with ending(open_to_all(tmp_path_factory.mktemp("serial"), **sections(micro_image))) as gateway:
        yield gateway.start()


@pytest.fixture
def ann(browser, gateway):
    with Person(browser, gateway) as person:
        yield person.sign_up("ann@example.com")
        assert person.complaints == []


def test_what_is_typed_in_the_terminal_is_done_by_the_machine_and_the_link_works_once(gateway, ann):
    machine = ann.order("gcl.1", user_data=UNLOCKED)
    ann.go(f"machines/{machine}")
    expect(ann.page.locator("main .state").first).to_have_text("running", timeout=BOOT_MS)
    ann.go(f"machines/{machine}/console")
    links = []
    ann.page.on("websocket", lambda socket: links.append(socket.url))
    ann.press("Open the serial console")
    expect(ann.page.locator("#serial-state")).to_have_text("Connected.")
    assert "ticket" not in ann.page.url

    terminal = ann.page.locator("#serial .xterm-rows")
    expect(terminal).to_contain_text("root is let in", timeout=BOOT_MS)
    ann.page.locator("#serial").click()
    ann.page.keyboard.type("\nroot\n")
    expect(terminal).to_contain_text("# ", timeout=BOOT_MS)
    ann.page.keyboard.type("echo $((6 * 7))-typed\n")
    expect(terminal).to_contain_text("42-typed")

    [link] = links
    assert ann.page.evaluate(_OPEN, link).startswith("closed")
    ann.press("Open it anew")
    expect(ann.page.locator("#serial-state")).to_have_text("Connected.")
    ann.press("Sign out", inside="header")
    assert ann.heading == "Sign in"
