"""The configuration, as it is and as it could be."""

from collections.abc import Sequence

from gateway.commands.command import DONE, JSON, Command, Options, examples, say, say_json


def _show(options: Options) -> int:
    from gateway import config, showing  # noqa: PLC0415

    explained = config.explain(options.config)
    if options.json:
        say_json(showing.as_rows(explained.values))
    else:
        say(f"# {explained.file.absolute()}\n{showing.as_toml(explained.values)}")
    return DONE


def _example(_: Options) -> int:
    from gateway import config  # noqa: PLC0415

    say(config.reference())
    return DONE


COMMANDS: Sequence[Command] = (
    Command(
        "config show",
        "what counts, and where it comes from",
        "Print the whole configuration as it counts: every key with its value, and behind it the file or the variable"
        " that says so, or `default`. The output is itself a configuration that says the same.",
        _show,
        examples("config show", "config show --json", "config show --config /etc/onefleet/config.toml"),
        JSON,
    ),
    Command(
        "config example",
        "a configuration with every key explained",
        "Print a configuration to begin with: every key with its default, its unit and its meaning.",
        _example,
        examples("config example", "config example >config.toml"),
    ),
)
