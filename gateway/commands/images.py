"""The disk images that machines are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.commands.command import DONE, JSON, Argument, Command, Options, examples, say, say_json
from gateway.tables import sheet, table
from gateway.trouble import Trouble

_ADD_EPILOG = """\
examples:
  onefleet image add https://cloud.example/noble-server-cloudimg-amd64.img --name ubuntu-24.04 \\
    --sha256sums https://cloud.example/SHA256SUMS
  onefleet image add disk.vmdk --name appliance >>config.toml
"""

_IMAGE: Mapping[str, Argument] = {
    "--name": {"metavar": "NAME", "help": "what it is called in [[images]]; default: as the file, or as what is built"},
    "--title": {"metavar": "TEXT", "help": "what customers read; default the name"},
    "--default-user": {"metavar": "USER", "default": "renter", "help": 'whom to ssh as; default "renter"'},
    "--architecture": {
        "choices": ("x86_64", "arm64", "i386"),
        "help": "default: as the file's name says, else x86_64",
    },
    "--platform": {"choices": ("linux", "windows"), "default": "linux", "help": "default linux"},
    "--replace": {"action": "store_true", "help": "in place of the image of this name; machines made of that keep it"},
}
_NAME: Mapping[str, Argument] = {"name": {"metavar": "NAME", "help": "as `onefleet image list` tells it"}}


def _manage(verb: str) -> Callable[[Options], int]:
    """Return what carries out a verb of `gateway.images`, and tells what is to be known of it."""

    def carry_out(options: Options) -> int:
        from gateway import config, images  # noqa: PLC0415

        say(images.VERBS[verb](config.load(options.config), options))
        return DONE

    return carry_out


def _list(options: Options) -> int:
    from gateway import config, images  # noqa: PLC0415

    found = images.listed(config.load(options.config))
    if options.json:
        say_json(found)
    else:
        say(_tell_images(found))
    return DONE


def _show(options: Options) -> int:
    from gateway import config, images  # noqa: PLC0415

    found = {image["name"]: image for image in images.listed(config.load(options.config))}
    if options.name not in found:
        raise Trouble(f"there is no image {options.name!r}; `onefleet image list` tells all")
    if options.json:
        say_json(found[options.name])
    else:
        say(_tell_image(found[options.name]))
    return DONE


def _tell_images(images: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            image["name"],
            "yes" if image["is_configured"] else "no",
            f"{image['disk_bytes'] / 1024**3:.1f} GiB" if image["disk_bytes"] else "-",
            f"{image['used_bytes'] / 1024**2:.1f} MiB" if image["used_bytes"] else "-",
            image["added_at"][:10] or "-",
            image["trouble"] or image["source"] or image["disk"],
        )
        for image in images
    ]
    head = ("IMAGE", "IN CONFIG", "DISK", "IN USE", "ADDED", "FROM, OR WHAT IS WRONG")
    return table(head, rows, empty="No images yet. Make one to try things out: onefleet image build micro")


def _tell_image(image: Mapping[str, Any]) -> str:
    return sheet((name.replace("_", " "), _worded(value)) for name, value in image.items())


def _worded(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value or "")


COMMANDS: Sequence[Command] = (
    Command(
        "image add",
        "register a disk image from a URL or a file",
        "Fetch a disk image, look whether it is sound, and register it for the qemu driver. qcow2, raw, vmdk, vhdx"
        " and vdi are taken, also compressed with gzip, xz, bzip2 or zstd. A download that was interrupted goes on"
        " where it ended when the command is given again.",
        _manage("add"),
        _ADD_EPILOG,
        {
            "source": {"metavar": "URL|FILE", "help": "https://, http://, or a file here"},
            "--sha256": {"metavar": "HEX", "help": "what the file must hash to (SHA-512 is taken too)"},
            "--sha256sums": {
                "metavar": "URL|FILE",
                "help": "a listing that has the file's checksum, such as SHA256SUMS or SHA512SUMS",
            },
            **_IMAGE,
        },
    ),
    Command(
        "image build",
        "build an image here, from Debian's packages",
        "Build an image and register it: micro, which boots in seconds and is made for trying things out, or"
        " debian, a whole Debian 12 with systemd, openssh and cloud-init. Needs no root.",
        _manage("build"),
        examples("image build micro", "image build debian --name debian-12"),
        {"recipe": {"choices": ("micro", "debian"), "help": "what to build"}, **_IMAGE},
    ),
    Command(
        "image list",
        "list all images",
        "List the images that are registered or that the configuration names, and what is wrong with them.",
        _list,
        examples("image list"),
        JSON,
    ),
    Command(
        "image show",
        "tell all about one image",
        "Tell all about one image: its files, where it came from, and what is wrong with it.",
        _show,
        examples("image show debian-12"),
        {**_NAME, **JSON},
    ),
    Command(
        "image remove",
        "remove a registered image",
        "Remove an image. Machines that were made of it keep it until they end.",
        _manage("remove"),
        examples("image remove debian-12"),
        _NAME,
    ),
)
