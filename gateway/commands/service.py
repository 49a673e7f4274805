"""The gateway as a service of the host."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gateway.commands.command import DONE, JSON, Command, Options, examples, say, say_json

_USER = "onefleet"
_CONFIG = Path("/etc/onefleet/config.toml")
_TOLD = {
    "made": "made      {}",
    "replaced": "replaced  {}",
    "kept": "kept      {}",
    "edited": "kept      {}, which somebody has edited: --force replaces it",
}


def _install(options: Options) -> int:
    from gateway.service import Wish, install  # noqa: PLC0415
    from gateway.version import program  # noqa: PLC0415

    file = (options.config or _CONFIG).absolute()
    done = install(Wish(program(), file, options.user, options.root.absolute(), is_forced=options.force))
    if options.json:
        say_json(asdict(done))
        return DONE
    say("".join(f"{_TOLD[deed.outcome].format(deed.what)}\n" for deed in done.deeds))
    say("".join(f"Mind: {text}.\n" for text in done.warnings))
    width = max(len(command) for command, _ in done.next_commands)
    say("\nNext:\n" + "".join(f"  {command:{width}}  {purpose}\n" for command, purpose in done.next_commands))
    return DONE


COMMANDS: Sequence[Command] = (
    Command(
        "service install",
        "have systemd run the gateway",
        "Write the units of systemd by which the gateway runs, and is backed up, and make what they need: a system"
        " user, folders, and, where there is none, a configuration. They are for the driver and the address of the"
        f" configuration, {_CONFIG} unless another is given: give the command again when these change. Nothing"
        " is started; what a person has edited is left alone. docs/service.md tells the rest.",
        _install,
        examples("service install", "service install --config /srv/onefleet/config.toml --user cloud"),
        {
            "--user": {"metavar": "NAME", "default": _USER, "help": f"whom it runs as, made if missing; {_USER}"},
            "--root": {
                "metavar": "DIR",
                "type": Path,
                "default": Path("/"),
                "help": "install into a tree, not the host",
            },
            "--force": {"action": "store_true", "help": "replace units that somebody has edited, too"},
            **JSON,
        },
    ),
)
