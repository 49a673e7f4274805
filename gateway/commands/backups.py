"""Backups of the data directory."""

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gateway.commands.command import DONE, JSON, Command, Options, examples, say, say_json
from gateway.tables import size
from gateway.trouble import Trouble


def _back_up(options: Options) -> int:
    from gateway import config, log  # noqa: PLC0415
    from gateway.backup import back_up, dated, keep_newest  # noqa: PLC0415

    log.configure("console", "warning")
    settings = config.load(options.config)
    is_folder = options.file.is_dir()
    if options.keep and not is_folder:
        raise Trouble(f"--keep is for a folder of backups, and {options.file} is none: make it, or leave --keep out")
    target = dated(options.file) if is_folder else options.file
    made = back_up(settings, target, has_key=options.with_key, is_forced=options.force)
    removed = keep_newest(options.keep, made.path) if options.keep else []
    if options.json:
        told = {"size_bytes": made.size_bytes, "manifest": asdict(made.manifest), "removed": [*map(str, removed)]}
        say_json({"file": str(made.path), **told})
        return DONE
    about_key = (
        "The key file is in it: who has the backup can read every secret.\n"
        if options.with_key
        else "The key file is not in it, and it is of no use without that:"
        f" keep a copy of {settings.storage.key_file} elsewhere.\n"
    )
    say(f"{made.path} has all of {made.manifest.made_at} and is sound: {size(made.size_bytes)}.\n{about_key}")
    say("".join(f"Removed, since {options.keep} are kept: {path}\n" for path in removed))
    return DONE


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of backups: 1 or more")
    return int(text)


def _restore(options: Options) -> int:
    from gateway import config, log  # noqa: PLC0415
    from gateway.backup import restore  # noqa: PLC0415

    log.configure("console", "warning")
    restored = restore(config.load(options.config), options.file, is_forced=options.force)
    if options.json:
        say_json({"manifest": asdict(restored.manifest), "kept": [str(path) for path in restored.aside]})
        return DONE
    say(f"All is as it was at {restored.manifest.made_at}.\n")
    say("".join(f"The former file is kept: {path}\n" for path in restored.aside))
    say("Next: onefleet doctor; then start the gateway, and see to machines that are newer than the backup.\n")
    return DONE


COMMANDS: Sequence[Command] = (
    Command(
        "backup",
        "save the data, while the gateway runs or not",
        "Save the database and the samples as they are at one moment, while bookings go on. The copy is checked; the"
        " file is whole or not there. Of .tar, .tar.gz or .tgz, the name tells which it becomes.",
        _back_up,
        examples(
            "backup /var/backups/onefleet.tar.gz",
            "backup /media/safe/onefleet.tar --with-key",
            "backup /var/backups/onefleet --keep 14",
        ),
        {
            "file": {
                "metavar": "FILE",
                "type": Path,
                "help": "where to, outside of the data directory; in a folder it gets a name after the time",
            },
            "--keep": {
                "metavar": "N",
                "type": _count,
                "help": "remove older ones of the folder, so that N remain",
            },
            "--with-key": {
                "action": "store_true",
                "help": "also the key file: the backup then needs nothing else, and opens every secret",
            },
            "--force": {"action": "store_true", "help": "replace the file if there is one"},
            **JSON,
        },
    ),
    Command(
        "restore",
        "put a backup back",
        "Put a backup in the place of the data, once it has proven whole: all of it or nothing, even if it is"
        " interrupted. The gateway must not run. Former files are kept under other names. Machines at the driver stay"
        " as they are; see docs/operating.md on those that are newer than the backup.",
        _restore,
        examples("restore /var/backups/onefleet.tar.gz", "restore /var/backups/onefleet.tar.gz --force"),
        {
            "file": {"metavar": "FILE", "type": Path, "help": "what `onefleet backup` has made"},
            "--force": {"action": "store_true", "help": "also where there are files already, which are kept aside"},
            **JSON,
        },
    ),
)
