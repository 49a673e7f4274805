"""The gateway itself: running it, and whether it could run."""

from collections.abc import Sequence

from gateway.commands.command import DONE, JSON, REFUSED, Command, Options, examples, say, say_json

_SERVE_EPILOG = """\
example:
  onefleet serve --config /etc/onefleet/config.toml

signals:
  SIGTERM, SIGINT  stop; a second one stops at once
  SIGHUP           read the configuration again: what is sold, limits, the TLS
                   certificate and the log's level change at once, or nothing does

pages beside the front-ends:
  /healthz         the process turns
  /readyz          it can do its work
  /metrics         for Prometheus
"""


def _serve(options: Options) -> int:
    import asyncio  # noqa: PLC0415

    import uvloop  # noqa: PLC0415

    from gateway import config, log, server  # noqa: PLC0415
    from gateway.datadir import DataDirectory  # noqa: PLC0415

    explained = config.explain(options.config)
    settings = explained.settings
    with DataDirectory.open(settings.server.data_dir, settings.storage.path, settings.storage.key_file) as directory:
        lines = log.configure(settings.log.format, settings.log.level)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve(explained, directory, lines, say))
        finally:
            lines.detach()
    return DONE


def _check(options: Options) -> int:
    from gateway import config, inspection  # noqa: PLC0415

    settings = config.load(options.config)
    findings = inspection.inspect(settings, config.locate(options.config).absolute())
    if options.json:
        say_json([{"part": found.part, "ok": found.is_ok, "text": found.text} for found in findings])
    else:
        say("".join(f"{'ok     ' if found.is_ok else 'PROBLEM'}  {found.part:9}  {found.text}\n" for found in findings))
    return DONE if all(found.is_ok for found in findings) else REFUSED


def _migrate(options: Options) -> int:
    from gateway import config, inspection, log  # noqa: PLC0415

    log.configure("console", "warning")
    applied = inspection.migrate(config.load(options.config))
    if options.json:
        say_json({"applied": applied})
    else:
        say("".join(f"applied {name}\n" for name in applied) or "the database is up to date\n")
    return DONE


COMMANDS: Sequence[Command] = (
    Command(
        "serve",
        "run the gateway",
        "Serve until SIGTERM or Ctrl+C; requests that are being answered are finished first.",
        _serve,
        _SERVE_EPILOG,
    ),
    Command(
        "check",
        "could it be started?",
        "Look whether the gateway could be started: configuration, data, driver, address, certificate."
        " Nothing is changed. `onefleet doctor` looks further.",
        _check,
        examples("check"),
        JSON,
    ),
    Command(
        "migrate",
        "bring the database up to date",
        "Bring the database to the schema of this program. `serve` does the same when it starts.",
        _migrate,
        examples("migrate"),
        JSON,
    ),
)
