"""Disk images of every kind, made by the real qemu-img, some of them hostile."""

import bz2
import gzip
import lzma
import shutil
import subprocess
from struct import pack_into

import pytest

from core.compute.qemu import diskimage
from core.compute.qemu.diskimage import (
    DiskFacts,
    UnusableImage,
    compression_of,
    convert,
    inspect_disk,
    read_header,
    unpack,
)
from core.ports import DriverCode

MIB = 2**20
SIZE = 8 * MIB

if shutil.which("qemu-img") is None:
    pytest.skip("qemu-img is not installed; .ci/install-test-tools does that", allow_module_level=True)


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def raw(tmp_path):
    """A disk with a boot sector, something in the middle, and holes."""
    path = tmp_path / "disk.raw"
    content = bytearray(SIZE)
    content[510:512] = b"\x55\xaa"
    content[5 * MIB : 5 * MIB + 9] = b"something"
    path.write_bytes(content)
    return path


@pytest.fixture
def made(tmp_path, raw):
    """Make a disk image of a format out of the raw one."""

    def make(kind, *options):
        path = tmp_path / f"disk.{kind}"
        qemu_img("convert", "-f", "raw", "-O", kind, *options, raw, path)
        return path

    return make


def change(path, offset, layout, value):
    content = bytearray(path.read_bytes())
    pack_into(layout, content, offset, value)
    path.write_bytes(content)
    return path


def why_not(path, look=inspect_disk):
    with pytest.raises(UnusableImage) as caught:
        look(path)
    assert caught.value.code is DriverCode.IMAGE
    assert str(path) not in str(caught.value), "renters would read where the host keeps its files"
    return caught.value.why


# --- what they are


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("qcow2", []),
        ("qcow2", ["-o", "compat=0.10"]),
        ("qcow2", ["-c", "-o", "compression_type=zstd"]),
        ("vmdk", []),
        ("vmdk", ["-o", "subformat=streamOptimized"]),
        ("vhdx", []),
        ("vdi", []),
    ],
)
def test_an_image_of_every_kind_is_known_and_becomes_the_same_disk_as_qcow2(made, raw, tmp_path, kind, options):
    facts = inspect_disk(made(kind, *options))
    assert facts == DiskFacts(kind, SIZE)
    convert(tmp_path / f"disk.{kind}", facts, tmp_path / "result", lambda *_: None)
    assert read_header(tmp_path / "result") == DiskFacts("qcow2", SIZE)
    qemu_img("compare", "-f", "qcow2", "-F", "raw", tmp_path / "result", raw)


def test_a_raw_disk_is_known_by_its_boot_sector(raw):
    assert inspect_disk(raw) == DiskFacts("raw", SIZE)


@pytest.mark.parametrize(("offset", "magic"), [(0x438, b"\x53\xef"), (0, b"XFSB"), (0x10040, b"_BHRfS_M")])
def test_a_raw_disk_without_partitions_is_known_by_its_file_system(tmp_path, offset, magic):
    content = bytearray(MIB)
    content[offset : offset + len(magic)] = magic
    (tmp_path / "disk").write_bytes(content)
    assert inspect_disk(tmp_path / "disk") == DiskFacts("raw", MIB)


def test_how_far_a_conversion_has_come_is_told(raw, tmp_path):
    told = []
    convert(raw, DiskFacts("raw", SIZE), tmp_path / "result", lambda done, total: told.append((done, total)))
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)


# --- what is refused


@pytest.mark.parametrize("look", [inspect_disk, read_header])
def test_a_backing_file_is_refused_since_a_guest_could_read_the_hosts_files_through_it(tmp_path, made, look):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 1000)
    path = tmp_path / "hostile.qcow2"
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", secret, path)
    assert "has a backing file" in why_not(path, look)


@pytest.mark.parametrize("look", [inspect_disk, read_header])
def test_an_external_data_file_is_refused_for_the_same_reason(tmp_path, look):
    path = tmp_path / "hostile.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on", path, "1M")
    assert "keeps its data in another file" in why_not(path, look)


@pytest.mark.parametrize("look", [inspect_disk, read_header])
def test_an_encrypted_disk_is_refused(tmp_path, look):
    path = tmp_path / "disk.qcow2"
    secret = ["--object", "secret,id=s,data=abc", "-o", "encrypt.format=aes,encrypt.key-secret=s"]
    qemu_img("create", "-f", "qcow2", *secret, path, "1M")
    assert why_not(path, look) == "it is encrypted"


@pytest.mark.parametrize("look", [inspect_disk, read_header])
def test_a_disk_with_snapshots_is_refused(made, look):
    path = made("qcow2")
    qemu_img("snapshot", "-c", "before", path)
    assert "holds snapshots" in why_not(path, look)


def test_a_damaged_disk_is_refused(made):
    assert "marked as damaged" in why_not(change(made("qcow2"), 72, ">Q", 0b10))


def test_a_disk_of_another_version_is_refused(made):
    assert "of a version" in why_not(change(made("qcow2"), 4, ">I", 1))


@pytest.mark.parametrize("size", [0, 2**62])
def test_a_disk_of_an_absurd_size_is_refused(made, size):
    path = change(made("qcow2"), 24, ">Q", size)
    assert "it says that its disk has" in why_not(path, read_header)
    assert why_not(path)


def test_a_vmdk_in_several_files_is_refused_since_it_names_them(tmp_path, raw):
    path = tmp_path / "hostile.vmdk"
    path.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        'RW 16384 FLAT "/etc/shadow" 0\n' + "\n" * 600
    )
    assert "the description of a VMDK in several files" in why_not(path)


def test_a_vmdk_that_looks_whole_and_names_other_files_is_refused(made):
    assert "lies in several files" in why_not(change(made("vmdk"), 12, "<Q", 0))


def test_a_vmdk_that_builds_on_another_is_refused(made):
    path = made("vmdk")
    descriptor = path.read_bytes()[512 : 21 * 512].rstrip(b"\0") + b'\nparentFileNameHint="/etc/shadow"\n'
    assert "builds on another" in why_not(change(path, 512, f"{len(descriptor)}s", descriptor))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<!DOCTYPE html><title>404" + bytes(MIB), "it is no disk image: it begins with b'<!DOCTYPE html><'"),
        (b"QFI\xfb", "it is no disk image: it has 4 bytes"),
        (b"", "it is no disk image"),
        (bytes(257) + b"ustar" + bytes(MIB), "it is a tar archive: unpack it"),
        (b"PK\x03\x04" + bytes(MIB), "it is a zip archive"),
        (bytes(510) + b"\x55\xaa" + bytes(0x8001 - 512) + b"CD001" + bytes(MIB), "it is an installation CD"),
        (b"LUKS\xba\xbe" + bytes(MIB), "it is encrypted"),
    ],
)
def test_what_is_no_disk_is_told_for_what_it_is(tmp_path, content, why):
    (tmp_path / "file").write_bytes(content)
    assert why in why_not(tmp_path / "file")


def test_a_disk_that_lies_about_its_format_inside_is_taken_for_what_it_is_outside(tmp_path, raw, made):
    # A guest can write a qcow2 header into its raw disk: QEMU, if it had to guess, would follow it to the host's files.
    hostile = tmp_path / "inner.qcow2"
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", raw, hostile)
    outer = tmp_path / "outer.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", hostile, outer)
    facts = inspect_disk(outer)
    convert(outer, facts, tmp_path / "result", lambda *_: None)
    assert read_header(tmp_path / "result").format == "qcow2"


def test_a_header_that_leads_nowhere_is_refused_by_qemu_img_in_its_own_words(made):
    why = why_not(change(made("qcow2"), 40, ">Q", 2**50 + 1))
    assert why.startswith("qemu-img fails: qemu-img: Could not open")


def test_only_qcow2_is_fit_to_start_machines_from(made):
    assert "it is not qcow2; `onefleet image add" in why_not(made("vdi"), read_header)


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert why_not(tmp_path / "nothing") == "it cannot be read: No such file or directory"


def test_a_tool_that_takes_too_long_is_ended(made, monkeypatch):
    monkeypatch.setattr(diskimage, "_PACKAGES", {**diskimage._PACKAGES, "sh": "dash"})
    spinning = ["sh", "-c", "while :; do :; done"]
    with pytest.raises(UnusableImage) as caught, diskimage._output(made("qcow2"), 1, spinning) as output:
        output.read()
    assert caught.value.why == "sh fails: it took more than 1 seconds of processor time"


def test_a_tool_that_is_not_installed_is_named_with_its_package(made, monkeypatch):
    path = made("qcow2")
    monkeypatch.setenv("PATH", "")
    assert why_not(path) == "qemu-img is needed and not installed: apt-get install qemu-utils"


# --- compressed ones

PACKERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: subprocess.run(["zstd", "-c"], input=content, capture_output=True, check=True).stdout,
}


def packed(kind, content, path):
    if kind == "zstd" and shutil.which("zstd") is None:
        pytest.skip("zstd is not installed; .ci/install-test-tools does that")
    path.write_bytes(PACKERS[kind](content))
    return path


@pytest.mark.parametrize("kind", PACKERS)
def test_a_compressed_disk_is_unpacked_and_its_holes_stay_holes(raw, tmp_path, kind):
    path = packed(kind, raw.read_bytes(), tmp_path / "packed")
    assert compression_of(path) == kind
    unpack(path, tmp_path / "result", lambda *_: None)
    assert (tmp_path / "result").read_bytes() == raw.read_bytes()
    assert (tmp_path / "result").stat().st_blocks * 512 <= 4 * MIB


@pytest.mark.parametrize("kind", PACKERS)
def test_a_compressed_disk_that_ends_too_early_is_refused(raw, tmp_path, kind):
    path = packed(kind, raw.read_bytes(), tmp_path / "packed")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnusableImage, match=r"The image packed cannot be used\."):
        unpack(path, tmp_path / "result", lambda *_: None)


def test_what_would_become_too_large_is_not_unpacked_to_its_end(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(diskimage, "LARGEST_BYTES", 4 * MIB)
    with pytest.raises(UnusableImage) as caught:
        unpack(packed("gzip", raw.read_bytes(), tmp_path / "bomb"), tmp_path / "result", lambda *_: None)
    assert caught.value.why == f"it has more than {4 * MIB} bytes in it"


def test_a_disk_that_is_not_compressed_is_not(raw):
    assert compression_of(raw) == ""
