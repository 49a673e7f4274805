"""Where a gateway begins."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from gateway.commands.command import DONE, Command, Options, examples, say


def _begin(options: Options) -> int:
    from gateway import config  # noqa: PLC0415
    from gateway.beginning import begin  # noqa: PLC0415
    from gateway.calling import called  # noqa: PLC0415
    from gateway.trouble import Trouble  # noqa: PLC0415

    if options.config is not None:
        raise Trouble(f"init makes {config.FILE_NAME} in a folder: give the folder, `init DIR`, and no --config")
    begun = begin(options.folder)
    is_found = config.locate(None).resolve() == begun.config.resolve()
    ending = "" if is_found else f" --config {shlex.quote(str(begun.config))}"
    say(
        f"{begun.config} is the configuration: every key is explained in it.\n"
        f"{begun.data} is where all data will be.\n"
        f"{begun.key_file} opens the secrets in the database: keep a copy of it elsewhere.\n"
        "Next:\n"
        f"  {called()} check{ending}\n"
        f"  {called()} serve{ending}\n"
    )
    return DONE


COMMANDS: Sequence[Command] = (
    Command(
        "init",
        "make a folder for a gateway to begin with",
        "Make a configuration with every key explained, a data directory, and the key file that opens the secrets in"
        " the database. Nothing that is there is changed.",
        _begin,
        examples("init", "init /srv/onefleet"),
        {
            "folder": {
                "metavar": "DIR",
                "type": Path,
                "nargs": "?",
                "default": Path(),
                "help": "where; made if missing; default here",
            }
        },
    ),
)
