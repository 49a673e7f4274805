import asyncio
import os
import shutil
from pathlib import Path

import pytest

from core.compute.qemu import accelerator
from core.compute.qemu.accelerator import Patience, choose
from core.compute.site import ImageFiles
from tests.clocks import eventually

HASTE = Patience(sector_seconds=0.3, kernel_seconds=0.3)
EASE = Patience(sector_seconds=10, kernel_seconds=10)

BREAKS = "echo 'could not start' >&2; exit 1"
HANGS = 'echo $$ >>"$0.pids"; exec sleep 600'
PASSES_THE_SECTOR = 'case "$*" in *isa-debug-exit*) exit 33;; esac; '
WORKS = PASSES_THE_SECTOR + "echo '[    0.000000] Linux version 6.1'; exec sleep 600"
MUTE = PASSES_THE_SECTOR + "exec sleep 600"
PVM = Path("/sys/module/kvm_pvm")
"""There where /dev/kvm is one that hangs guests: see compute.md, KVM on this machine."""
DIES = PASSES_THE_SECTOR + BREAKS


@pytest.fixture
def qemu(tmp_path):
    """Writes programs that stand in for QEMU: what its KVM does cannot be had as it should be."""

    def write(script):
        program = tmp_path / "qemu"
        program.write_text(f'#!/bin/sh\necho run >>"$0.runs"\n{script}\n')
        program.chmod(0o755)
        return str(program)

    return write


@pytest.fixture(autouse=True)
def device(tmp_path, monkeypatch):
    """A device of a test's own, since not every host has one."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "_DEVICE", device)
    return device


@pytest.fixture
def sample(tmp_path):
    files = [tmp_path / name for name in ("disk.qcow2", "vmlinuz", "initrd")]
    for file in files:
        file.touch()
    return ImageFiles(*files)


def runs(program):
    """Return how often a program that stands in for QEMU was run."""
    return len(Path(f"{program}.runs").read_text().split())


def pids(program):
    """Return the processes that a program which tells its own has become."""
    file = Path(f"{program}.pids")
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def test_kvm_that_brings_up_a_kernel_is_chosen(qemu, sample):
    chosen = await choose(qemu(WORKS), "auto", sample, patience=EASE)
    assert (chosen.name, chosen.is_as_wished) == ("kvm", True)
    assert chosen.arguments == ("-accel", "kvm", "-cpu", "host")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (BREAKS, "KVM fails: could not start"),
        (HANGS, "longer than 0.3 s over a boot sector"),
        (MUTE, "did not bring up an image's kernel within 0.3 s"),
        (DIES, "KVM fails at an image's kernel: could not start"),
        ("exit 0", "QEMU ended with 0"),
    ],
)
async def test_kvm_that_does_not_is_refused_and_the_operator_told_why(qemu, sample, script, why):
    patience = HASTE if "sleep" in script else EASE
    chosen = await choose(qemu(script), "auto", sample, patience=patience)
    assert (chosen.name, chosen.is_as_wished) == ("tcg", False)
    assert why in chosen.why
    assert "tcg,tb-size=64" in chosen.arguments


async def test_without_an_image_that_has_a_kernel_the_boot_sector_decides(qemu, tmp_path):
    chosen = await choose(qemu(MUTE), "auto", ImageFiles(tmp_path / "disk.qcow2"), patience=EASE)
    assert chosen.name == "kvm"


async def test_a_host_without_the_device_is_told_so(qemu, device):
    device.unlink()
    chosen = await choose(qemu(WORKS), "auto")
    assert chosen.name == "tcg"
    assert str(device) in chosen.why


async def test_kvm_that_is_forced_is_used_although_it_fails_and_the_operator_told(qemu):
    chosen = await choose(qemu(BREAKS), "kvm", patience=EASE)
    assert (chosen.name, chosen.is_as_wished) == ("kvm", False)
    assert "could not start" in chosen.why


async def test_tcg_that_is_forced_is_used_without_any_trial(tmp_path):
    chosen = await choose(str(tmp_path / "none"), "tcg")
    assert (chosen.name, chosen.is_as_wished) == ("tcg", True)


@pytest.mark.parametrize("binary", ["no-such-qemu", "/no/such/qemu"])
async def test_a_missing_program_is_named(binary):
    chosen = await choose(binary, "auto")
    assert chosen.name == "tcg"
    assert f"{binary}: No such file" in chosen.why


async def test_a_missing_kernel_is_named(qemu, sample):
    sample.kernel.unlink()
    assert "vmlinuz: No such file" in (await choose(qemu(WORKS), "auto", sample)).why


async def test_what_was_found_out_holds_after_a_restart(qemu, sample, tmp_path):
    program, cache = qemu(BREAKS), tmp_path / "accelerator.json"
    first = await choose(program, "auto", sample, cache=cache)
    assert await choose(program, "auto", sample, cache=cache) == first
    assert runs(program) == 1


@pytest.mark.parametrize("changed", ["qemu", "kvm", "vmlinuz", "accelerator.json"])
async def test_it_is_tried_out_anew_when_anything_has_changed(qemu, sample, tmp_path, changed):
    program, cache = qemu(BREAKS), tmp_path / "accelerator.json"
    await choose(program, "auto", sample, cache=cache)
    (tmp_path / changed).chmod(0o700)
    if changed == "accelerator.json":
        cache.write_text("{")
    await choose(program, "auto", sample, cache=cache)
    assert runs(program) == 2


async def test_a_cache_that_cannot_be_written_does_no_harm(qemu, tmp_path):
    assert (await choose(qemu(BREAKS), "auto", cache=tmp_path / "none" / "cache")).name == "tcg"


async def test_a_trial_that_is_cancelled_leaves_no_process_behind(qemu):
    program = qemu(HANGS)
    trial = asyncio.create_task(choose(program, "auto", patience=EASE))
    await eventually(lambda: pids(program))
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    with pytest.raises(ProcessLookupError):
        os.kill(*pids(program), 0)


# --- with QEMU itself


@pytest.fixture
def real_qemu():
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("there is no command qemu-system-x86_64; on Debian: apt-get install qemu-system-x86")
    return "qemu-system-x86_64"


async def test_a_translator_passes_both_trials(real_qemu, micro_image, monkeypatch):
    monkeypatch.setitem(accelerator._ARGUMENTS, "kvm", accelerator._ARGUMENTS["tcg"])
    patience = Patience(sector_seconds=30, kernel_seconds=60)
    assert (await choose(real_qemu, "auto", micro_image, patience=patience)).name == "kvm"


async def test_this_hosts_kvm_is_refused_if_it_hangs_or_cannot_be_used(real_qemu, micro_image, monkeypatch):
    monkeypatch.setattr(accelerator, "_DEVICE", Path("/dev/kvm"))
    chosen = await choose(real_qemu, "auto", micro_image)
    may_work = os.access("/dev/kvm", os.R_OK | os.W_OK) and not os.access(PVM, os.F_OK)
    assert chosen.name == "tcg" or may_work, chosen.why
