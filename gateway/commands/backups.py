"""Backups of the data directory."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gateway.commands.command import DONE, JSON, Command, Options, examples, say, say_json
from gateway.tables import size


def _back_up(options: Options) -> int:
    from gateway import config, log  # noqa: PLC0415
    from gateway.backup import back_up  # noqa: PLC0415
    from gateway.datadir import KEY_FILE  # noqa: PLC0415

    log.configure("console", "warning")
    settings = config.load(options.config)
    made = back_up(settings, options.file, has_key=options.with_key, is_forced=options.force)
    if options.json:
        say_json({"file": str(made.path), "size_bytes": made.size_bytes, "manifest": asdict(made.manifest)})
        return DONE
    key_file = settings.server.data_dir / KEY_FILE
    about_key = (
        "The key file is in it: who has the backup can read every secret.\n"
        if options.with_key
        else f"The key file is not in it, and it is of no use without that: keep a copy of {key_file} elsewhere.\n"
    )
    say(f"{made.path} has all of {made.manifest.made_at} and is sound: {size(made.size_bytes)}.\n{about_key}")
    return DONE


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
        examples("backup /var/backups/onefleet.tar.gz", "backup /media/safe/onefleet.tar --with-key"),
        {
            "file": {"metavar": "FILE", "type": Path, "help": "where to, outside of the data directory"},
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
