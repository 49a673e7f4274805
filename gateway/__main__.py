"""The `onefleet` command."""

import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Run the command and return its exit code: 0, 1 for a refusal, 2 for a wrong command line or configuration."""
    _refuse_strangers()
    from gateway.cli import run  # noqa: PLC0415  only once it is known to be ours, with all that it imports

    return run(sys.argv[1:])


def _refuse_strangers() -> None:
    """Exit if `core` or `protocols`, which are names that others use too, are not the ones that came with this file."""
    home = Path(__file__).resolve().parent.parent
    for name in ("core", "protocols"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None
        if found != home and not getattr(sys, "frozen", False):
            place = found / name if found else "nowhere"
            sys.exit(
                f"onefleet: the package {name!r} that Python finds is not Onefleet's ({place}, not {home / name})."
                " Install Onefleet into an environment of its own (pipx install onefleet, or make venv),"
                " and look at PYTHONPATH."
            )


if __name__ == "__main__":
    sys.exit(main())
