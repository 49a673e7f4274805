"""Makes a disk with one ext4 file system from a folder, without root: nothing is mounted."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from core.compute.qemu.building.workshop import run

TOOLS: Mapping[str, str] = {"mke2fs": "e2fsprogs", "debugfs": "e2fsprogs", "qemu-img": "qemu-utils"}
"""The commands that `write_disk` needs, and the Debian packages that have them."""


def lay(kind: str, tree: Path) -> None:
    """Copy our own files for a kind of guest into a tree.

    Those with a `#!` may be executed there, whatever became of their rights on the way to this host.
    """
    _lay(files("core.compute.qemu.building") / "guest" / kind, tree)


def write_disk(tree: Path, disk: Path, *, size_mib: int, owners: Mapping[str, tuple[int, int]]) -> None:
    """Write the files under `tree` as the compressed qcow2 `disk`.

    All belong to root, but for those that `owners` gives a user and group number by their path, like `/home/renter`.

    Raises:
        BuildFailed: they do not fit, or a command failed.
    """
    raw = disk.with_suffix(".raw")
    run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", tree, raw, f"{size_mib}M"])
    _give(raw, dict.fromkeys(_paths(tree), (0, 0)) | dict(owners))
    # zstd is five times as fast as zlib here, and machines read faster what it packed.
    run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd", raw, disk])
    raw.unlink()


def _lay(source: Traversable, target: Path) -> None:
    for each in source.iterdir():
        place = target / each.name
        if each.is_dir():
            place.mkdir(exist_ok=True)
            _lay(each, place)
            continue
        content = each.read_bytes()
        place.write_bytes(content)
        place.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _paths(tree: Path) -> list[str]:
    return ["/", *(f"/{path.relative_to(tree)}" for path in tree.rglob("*"))]


def _give(raw: Path, owners: Mapping[str, tuple[int, int]]) -> None:
    """Set who owns each file: mke2fs takes over the numbers of whoever builds."""
    orders = [f'sif "{path}" uid {user}\nsif "{path}" gid {group}\n' for path, (user, group) in owners.items()]
    run(["debugfs", "-w", "-f", "-", raw], text="".join(orders))
