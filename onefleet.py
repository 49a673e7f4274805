"""The `onefleet` command. Nobody else has its name, so that it can look whose the packages are that it will use."""

import sys
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("core", "gateway", "protocols")
_HOME = Path(__file__).resolve().parent


def main() -> int:
    """Run the command and return its exit code: 0, 1 for a refusal, 2 for a wrong command line or configuration."""
    if not getattr(sys, "frozen", False):  # the single file has nobody else's in it
        for name in _PACKAGES:
            _require_ours(name)
    from gateway.cli import run  # noqa: PLC0415  only once it is known to be ours, with all that it imports

    return run(sys.argv[1:])


def _require_ours(name: str) -> None:
    """Exit if the package of that name, which others use too, is not the one that came with this file.

    Another distribution may come before it on Python's path, or may have been installed over it.
    """
    spec = find_spec(name)
    found = Path(spec.origin).resolve().parent if spec is not None and spec.origin else None
    if found == _HOME / name and "Onefleet" in (found / "__init__.py").read_text():
        return
    place = f"{found}, not {_HOME / name}" if found != _HOME / name else f"another was installed over it, in {found}"
    sys.exit(
        f"onefleet: the package {name!r} that Python finds is not Onefleet's ({place})."
        " Install Onefleet into an environment of its own (pipx install onefleet, or make venv),"
        " and look at PYTHONPATH."
    )


if __name__ == "__main__":
    sys.exit(main())
