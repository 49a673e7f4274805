"""The wire-format vectors beside the repository: what they are and where they come from is in their README."""

import os
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[1].parent / "shared" / "vectors"


def need_vectors() -> None:
    """Skip the test where the vectors are absent; in CI their absence is a failure."""
    if VECTORS.is_dir():
        return
    reason = f"the wire-format vectors are not at {VECTORS}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
