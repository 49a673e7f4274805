"""The library of images: what is registered, and that it is there whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from core.compute.qemu.library import ImageExists, Library, Manifest, UnusableImage
from core.compute.site import ImageFiles, Site
from tests.running import REPOSITORY, eventually

if shutil.which("qemu-img") is None:
    pytest.skip("qemu-img is not installed; .ci/install-test-tools does that", allow_module_level=True)

MANIFEST = Manifest(
    name="debian-12",
    title="Debian 12",
    format="qcow2",
    virtual_size_bytes=2**20,
    least_disk_gib=1,
    architecture="x86_64",
    platform="linux",
    default_user="renter",
    source="https://cloud.example/debian-12.qcow2",
    added_at="2026-11-22T12:00:00Z",
    sha256="0" * 64,
)


@pytest.fixture
def library(tmp_path):
    return Library(Site(tmp_path))


def a_disk(path, size="1M"):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, size], check=True)
    return path


def register(library, name="debian-12", *, size="1M", with_kernel=False, is_replacing=False):
    with library.drafting() as draft:
        files = ImageFiles(a_disk(draft / "some.qcow2", size))
        if with_kernel:
            (draft / "linux").write_text("kernel")
            (draft / "ram").write_text("initrd")
            files = ImageFiles(files.disk, draft / "linux", draft / "ram", "root=/dev/vda")
        manifest = Manifest(**{**_fields(MANIFEST), "name": name})
        library.register(draft, files, manifest, is_replacing=is_replacing)
    return library.files(name)


def _fields(manifest):
    return {field: getattr(manifest, field) for field in manifest.__dataclass_fields__}


def why_not(library, name="debian-12"):
    with pytest.raises(UnusableImage) as caught:
        library.files(name)
    assert str(caught.value) == f"The image {name} cannot be used."
    return caught.value.why


# --- what is registered


def test_an_image_is_found_under_its_name(library):
    files = register(library)
    assert files == ImageFiles(library.folder / "debian-12" / "disk.qcow2")
    assert library.manifest("debian-12") == Manifest(**{**_fields(MANIFEST), "files": ("disk.qcow2",)})


def test_an_image_with_a_kernel_has_its_kernel_and_what_that_is_told(library):
    files = register(library, with_kernel=True)
    folder = library.folder / "debian-12"
    assert files == ImageFiles(folder / "disk.qcow2", folder / "vmlinuz", folder / "initrd", "root=/dev/vda")
    assert files.kernel.read_text() == "kernel"


def test_images_are_listed_by_name_and_damaged_ones_left_out(library):
    for name in ("b", "a", "c"):
        register(library, name)
    (library.folder / "c" / "image.json").write_text("{")
    assert library.names() == ["a", "b", "c"]
    assert [manifest.name for manifest in library.list()] == ["a", "b"]


def test_a_library_without_a_folder_is_empty(library):
    assert library.names() == library.list() == []
    assert library.any_with_kernel() is None


def test_an_image_that_boots_its_own_kernel_is_found_among_others(library):
    register(library, "a")
    files = register(library, "b", with_kernel=True)
    assert library.any_with_kernel() == files


def test_what_is_registered_can_be_read_by_everybody_and_changed_by_nobody_else(library):
    umask = os.umask(0o077)
    try:
        files = register(library, with_kernel=True)
    finally:
        os.umask(umask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (files.disk.parent, *files.disk.parent.iterdir())}
    assert modes.pop("debian-12") == 0o755
    assert set(modes.values()) == {0o644}


def test_files_that_the_configuration_names_go_before_those_that_are_registered(tmp_path):
    configured = ImageFiles(a_disk(tmp_path / "mine.qcow2"))
    library = Library(Site(tmp_path, images={"debian-12": configured}))
    register(library)
    assert library.files("debian-12") == configured


# --- what is not usable


def test_an_image_that_nobody_has_registered_is_refused_with_advice(library):
    assert "`onefleet image add URL|FILE --name debian-12` or" in why_not(library)


@pytest.mark.parametrize("file", ["disk.qcow2", "vmlinuz", "initrd"])
def test_a_file_that_was_deleted_is_missed(library, file):
    register(library, with_kernel=True)
    (library.folder / "debian-12" / file).unlink()
    assert f"{file} is missing; `onefleet image add URL|FILE --name debian-12 --replace`" in why_not(library)


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"name": "debian-12", "files": []}', '{"files": 5}'])
def test_a_damaged_note_is_told(library, note):
    register(library)
    (library.folder / "debian-12" / "image.json").write_text(note)
    assert "image.json is damaged (" in why_not(library)


def test_a_disk_that_builds_on_another_is_refused_at_every_launch(library):
    files = register(library)
    files.disk.unlink()
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/hostname", files.disk], check=True
    )
    assert why_not(library).startswith(f"{files.disk}: it has a backing file")


def test_files_that_are_configured_while_the_gateway_runs_count_from_then_on(tmp_path):
    site = Site(tmp_path)
    library = Library(site)
    registered = register(library)
    configured = ImageFiles(a_disk(tmp_path / "mine.qcow2"))
    site.images = {"debian-12": configured}
    assert library.files("debian-12") == configured
    site.images = {}
    assert library.files("debian-12") == registered


def test_a_configured_file_that_is_missing_is_not_sought_elsewhere(tmp_path):
    library = Library(Site(tmp_path, images={"debian-12": ImageFiles(tmp_path / "mine.qcow2")}))
    register_elsewhere = Library(Site(tmp_path))
    register(register_elsewhere)
    assert (
        why_not(library)
        == f"{tmp_path}/mine.qcow2 is missing; put it there, or correct the image's files in config.toml"
    )


@pytest.mark.parametrize("name", ["../secrets", "", ".new-x", "a/b", "x" * 65])
def test_a_name_that_leads_elsewhere_is_refused(library, name):
    assert "cannot be the name of an image" in why_not(library, name)


def test_looking_for_an_image_costs_next_to_nothing(library):
    register(library, with_kernel=True)
    began = time.perf_counter()
    for _ in range(100):
        library.files("debian-12")
    assert (time.perf_counter() - began) / 100 < 0.005  # it is some 0.1 ms


# --- changing it


def test_a_name_is_taken_only_once(library):
    register(library)
    with pytest.raises(ImageExists, match="There is an image debian-12 already"):
        register(library, size="2M")
    assert library.files("debian-12").disk.stat().st_size == a_size(library, "1M")


def a_size(library, size):
    return a_disk(library.folder / "measure", size).stat().st_size


def test_an_image_is_replaced_if_that_is_asked_for_and_who_has_the_old_one_keeps_it(library, tmp_path):
    old = register(library, with_kernel=True)
    os.link(old.disk, tmp_path / "base.qcow2")
    register(library, is_replacing=True)
    assert not (library.folder / "debian-12" / "vmlinuz").exists()
    assert (tmp_path / "base.qcow2").read_bytes()[:4] == b"QFI\xfb"
    assert (tmp_path / "base.qcow2").stat().st_nlink == 1


def test_at_no_moment_of_a_replacement_is_the_image_missing(library):
    register(library)
    is_over, missed = threading.Event(), []

    def look():
        while not is_over.is_set():
            try:
                library.manifest("debian-12")
            except UnusableImage as error:
                missed.append(error.why)

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(20):
        register(library, is_replacing=True)
    is_over.set()
    watcher.join()
    assert missed == []


def test_replacing_what_is_not_there_registers_it(library):
    register(library, is_replacing=True)
    assert library.has("debian-12")


def test_a_removed_image_is_gone_and_its_name_is_free(library):
    register(library)
    library.remove("debian-12")
    assert not library.has("debian-12")
    register(library)


def test_removing_what_is_not_there_is_refused(library):
    with pytest.raises(UnusableImage):
        library.remove("debian-12")


def test_a_damaged_image_can_be_removed_and_replaced(library):
    register(library)
    (library.folder / "debian-12" / "image.json").unlink()
    register(library, is_replacing=True)
    (library.folder / "debian-12" / "image.json").unlink()
    library.remove("debian-12")
    assert library.names() == []


def test_what_is_no_disk_is_not_registered(library):
    with library.drafting() as draft:
        (draft / "disk").write_bytes(bytes(1024))
        with pytest.raises(UnusableImage):
            library.register(draft, ImageFiles(draft / "disk"), MANIFEST)
    assert not library.has("debian-12")


# --- drafts


def leftovers(library):
    return [path.name for path in library.folder.glob(".new-*")]


def test_a_draft_that_fails_leaves_nothing(library):
    with pytest.raises(FileNotFoundError), library.drafting() as draft:
        (draft / "there" / "is" / "no" / "such" / "folder").touch()
    assert leftovers(library) == []


def test_drafts_do_not_disturb_one_another(library):
    with library.drafting() as one, library.drafting() as other:
        assert one != other
        assert one.exists()


KILLED = """
import sys, time
from pathlib import Path
from core.compute.qemu.library import Library
from core.compute.site import Site

with Library(Site(Path(sys.argv[1]))).drafting() as draft:
    (draft / "half").write_text("half")
    print("drafting", flush=True)
    time.sleep(60)
"""


def test_the_draft_of_a_killed_process_is_removed_by_the_next_one(library, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout.readline() == "drafting\n"
        [left] = leftovers(library)
        with library.drafting():
            assert left in leftovers(library), "it lives, so its draft is its own"
        process.kill()
    eventually(lambda: process.poll() is not None)
    with library.drafting():
        assert left not in leftovers(library)


def test_a_note_is_for_reading_by_people_too(library):
    register(library)
    text = (library.folder / "debian-12" / "image.json").read_text()
    assert json.loads(text)["source"] == "https://cloud.example/debian-12.qcow2"
    assert text.count("\n") > 5
