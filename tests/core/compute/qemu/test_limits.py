import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.compute.qemu import limits
from core.compute.qemu.limits import Limits, Use, found
from core.ids import InstanceId

ONE, TWO = InstanceId(1), InstanceId(2)
FILES = ("memory.max", "memory.oom.group", "cpu.max", "pids.max", "cgroup.procs", "cgroup.subtree_control")
UNIT = "system.slice/onefleet.service"


@contextmanager
def a_process():
    """A process that lives for as long as the block, and what it could say."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


def a_cgroup(folder):
    """Make a folder with the files that the kernel would make in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).touch()
    return folder


def a_tree(root, controllers="cpuset cpu io memory pids", own=UNIT):
    """Return the root of a tree of cgroups and the file that tells where in it we are."""
    for group in (root, root / "onefleet", root / UNIT, root / UNIT / "gateway"):
        a_cgroup(group)
    (root / "cgroup.controllers").write_text(controllers)
    (root / "own").write_text(f"0::/{own}\n")
    return root, root / "own"


# --- what its machine may take


def test_a_machine_is_held_to_its_memory_and_processors_with_something_over_for_qemu(tmp_path):
    own = a_cgroup(tmp_path / "machine-1")
    Limits(tmp_path).place(os.getpid(), ONE, vcpus=2, memory_mib=1024)
    assert 1024 < int((own / "memory.max").read_text()) / 2**20 < 1536
    assert (own / "cpu.max").read_text() == "200000 100000"
    assert (own / "cgroup.procs").read_text() == str(os.getpid())


def test_what_a_machine_uses_is_told_while_it_has_a_group(tmp_path):
    own = a_cgroup(tmp_path / "machine-1")
    (own / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    (own / "memory.current").write_text(f"{3 * 2**20}\n")
    assert Limits(tmp_path).use(ONE) == Use(cpu_seconds=2.5, memory_mib=3)
    assert Limits(tmp_path).use(TWO) is None


def test_where_there_are_no_cgroups_nothing_is_done_and_the_operator_told(tmp_path):
    without = found(tmp_path, tmp_path / "own")
    without.place(os.getpid(), ONE, vcpus=1, memory_mib=1)
    without.remove(ONE)
    without.keep_only([])
    assert without.use(ONE) is None
    assert "Run the gateway as root" in without.notice


def test_cgroups_that_cannot_bound_memory_are_none(tmp_path):
    assert found(*a_tree(tmp_path, controllers="hugetlb cpu")).notice


def test_root_has_a_group_of_its_own_for_all_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    root, own = a_tree(tmp_path)
    a_cgroup(root / "onefleet" / "machine-1")
    machines = found(root, own)
    machines.place(os.getpid(), ONE, vcpus=1, memory_mib=1)
    assert machines.notice == ""
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (root / "onefleet" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (root / "onefleet" / "machine-1" / "cgroup.procs").read_text() == str(os.getpid())


def test_in_a_delegated_group_the_gateway_makes_room_for_machines_beside_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    root, own = a_tree(tmp_path)
    assert found(root, own).notice == ""
    assert (root / UNIT / "gateway" / "cgroup.procs").read_text() == str(os.getpid())
    assert (root / UNIT / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (root / "cgroup.subtree_control").read_text() == ""


def test_a_gateway_that_is_beside_its_machines_already_stays_there(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    root, own = a_tree(tmp_path, own=f"{UNIT}/gateway")
    assert found(root, own).notice == ""
    assert (root / UNIT / "gateway" / "cgroup.procs").read_text() == ""
    assert (root / UNIT / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_refusal_of_the_kernel_is_told_with_the_group(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    root, own = a_tree(tmp_path)
    (root / UNIT / "cgroup.subtree_control").unlink()
    assert f"{root / UNIT}: No such file or directory" in found(root, own).notice


# --- with the kernel's own groups, though without bounds where other ones have them


@pytest.fixture
def tree():
    """A group of the test's own in the kernel's tree."""
    mounted = [
        line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2"
    ]
    if not mounted or not os.access(mounted[0], os.W_OK) or os.geteuid() != 0:
        pytest.skip("there are no cgroups of version 2 that this test may change")
    folder = Path(mounted[0], f"onefleet-test-{os.getpid()}")
    folder.mkdir()
    yield folder
    for group in (*folder.glob("machine-*"), folder):
        group.rmdir()


def in_group(pid):
    return Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition("/")[2]


@pytest.fixture
def unbound(monkeypatch):
    """Groups are only made, since here they may have no bounds."""
    monkeypatch.setattr(limits, "_bounds", lambda *_: {})


def test_a_process_is_in_its_machines_group_however_often_it_is_placed(tree, unbound):
    with a_process() as process:
        Limits(tree).place(process.pid, ONE, vcpus=1, memory_mib=256)
        Limits(tree).place(process.pid, ONE, vcpus=1, memory_mib=256)
        assert in_group(process.pid) == "machine-1"


def test_a_process_that_is_gone_cannot_be_placed(tree, unbound):
    with a_process() as process:
        pass
    with pytest.raises(ProcessLookupError):
        Limits(tree).place(process.pid, ONE, vcpus=1, memory_mib=256)


def test_what_is_left_of_a_machine_ends_with_its_group(tree, unbound):
    machines = Limits(tree)
    with a_process() as process:
        machines.place(process.pid, ONE, vcpus=1, memory_mib=256)
        machines.remove(ONE)
        assert process.wait(timeout=10) == -9
        machines.remove(ONE)
        machines.remove(ONE)
    assert list(tree.glob("machine-*")) == []


def test_only_the_groups_of_living_machines_are_kept(tree, unbound):
    machines = Limits(tree)
    with a_process() as one, a_process() as two:
        machines.place(one.pid, ONE, vcpus=1, memory_mib=256)
        machines.place(two.pid, TWO, vcpus=1, memory_mib=256)
        machines.keep_only([ONE])
        assert two.wait(timeout=10) == -9
        assert one.poll() is None
    machines.keep_only([])
    assert list(tree.glob("machine-*")) == []
