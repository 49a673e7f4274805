import os
import subprocess

import pytest

from tests import forked
from tests.running import REPOSITORY

LIKE_OURS = os.environ | {"PYTHONPATH": str(REPOSITORY)}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["nonsense"], ["check", "--config", "absent.toml"]])
def test_a_forked_command_says_and_ends_as_one_that_was_started(words, tmp_path):
    forked_one, started = (
        forked.outcome([*forked.PROGRAM, *words], environ=environ, seconds=60, folder=tmp_path)
        for environ in (LIKE_OURS, LIKE_OURS | {"ANOTHER": "environment"})
    )
    assert vars(forked_one) == vars(started)


def test_a_command_that_takes_too_long_is_killed():
    with pytest.raises(subprocess.TimeoutExpired):
        forked.outcome([*forked.PROGRAM, "--help"], environ=LIKE_OURS, seconds=0)
