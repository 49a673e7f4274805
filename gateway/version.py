"""Which Onefleet this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """Return the version that is installed."""
    try:
        return installed("onefleet")
    except PackageNotFoundError:
        return "(not installed)"
