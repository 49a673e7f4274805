"""The single file as a service of a host with systemd: what docs/service.md has an operator do."""

from tests.end_to_end.test_service_running import do_the_page
from tests.release.built import built
from tests.systemd import host


def test_the_single_file_is_installed_run_upgraded_backed_up_and_removed(tmp_path):
    with host(tmp_path, built() / "onefleet") as systemd:
        do_the_page(systemd)
