from pathlib import Path

import pytest

from tests.machines import debian_image, micro_image
from tests.netns import Host, need_namespaces
from tests.qemu import key, login, opened, root, small, ssh_host

__all__ = ["debian_image", "key", "login", "micro_image", "opened", "root", "small", "ssh_host"]


@pytest.fixture
def host():
    """A host of the test's own, on which the test is."""
    need_namespaces()
    if not Path("/dev/net/tun").exists():
        pytest.skip("there is no /dev/net/tun; load the module tun")
    host = Host()
    with host.inside():
        yield host
    host.close()
