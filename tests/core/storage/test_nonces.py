from datetime import timedelta

import pytest

from core.errors import StoreUnavailable
from core.storage.nonces import NonceLog
from tests.core.storage.storms import storm

HOUR = timedelta(hours=1)
ENTRY_BYTES = 16


@pytest.fixture
def open_log(tmp_path, clock):
    """Opens logs upon one folder, and closes them in the end."""
    opened = []

    def open_log():
        opened.append(NonceLog(tmp_path, clock))
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log):
    return open_log()


def test_a_nonce_is_forgotten_after_two_hours_at_most(log, clock):
    log.claim("key", 0, "nonce")
    clock.advance(HOUR)
    log.claim("key", 0, "another")
    clock.advance(HOUR)
    assert log.claim("key", 0, "nonce")


def test_a_nonce_is_remembered_from_one_generation_to_the_next(log, clock):
    clock.advance(HOUR - timedelta(seconds=1))
    log.claim("key", 0, "nonce")
    clock.advance(timedelta(seconds=1))
    assert not log.claim("key", 0, "nonce")


def test_the_files_do_not_grow_for_ever(tmp_path, log, clock):
    for number in range(100):
        log.claim("key", 0, str(number))
        clock.advance(HOUR)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * ENTRY_BYTES


def test_both_generations_are_found_again(open_log, clock):
    log = open_log()
    log.claim("key", 0, "before")
    clock.advance(HOUR)
    log.claim("key", 0, "now")
    again = open_log()
    assert not again.claim("key", 0, "before")
    assert not again.claim("key", 0, "now")


def test_a_restart_does_not_cut_a_generation_short(open_log, clock):
    first = open_log()
    clock.advance(HOUR - timedelta(seconds=1))
    first.claim("key", 0, "nonce")
    second = open_log()
    clock.advance(HOUR - timedelta(seconds=1))
    assert not second.claim("key", 0, "nonce")


def test_the_files_can_be_read_by_their_owner_only(tmp_path, log):
    assert [file.stat().st_mode & 0o077 for file in tmp_path.iterdir()] == [0]


@pytest.mark.parametrize("excess", range(1, ENTRY_BYTES))
def test_a_half_written_entry_is_cut_off_and_the_others_are_found(tmp_path, open_log, excess):
    open_log().claim("key", 0, "first")
    with (tmp_path / "nonces").open("ab") as file:
        file.write(b"x" * excess)
    assert open_log().claim("key", 0, "second")
    third = open_log()
    assert not third.claim("key", 0, "first")
    assert not third.claim("key", 0, "second")


def test_a_nonce_for_which_there_is_no_room_is_refused_until_there_is(tmp_path, open_log):
    with storm("full_disk_for_nonces", tmp_path / "onefleet.db") as process:
        lines = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert lines == ["refused", "refused", "True False False"]
    again = open_log()
    assert not again.claim("key", 0, "half")
    assert not again.claim("key", 0, "whole")


@pytest.mark.parametrize("in_the_way", ["nonces.next", "nonces.previous"])
def test_a_generation_that_cannot_begin_refuses_until_it_can_and_forgets_nothing(tmp_path, log, clock, in_the_way):
    log.claim("key", 0, "nonce")
    clock.advance(HOUR)
    (tmp_path / in_the_way).mkdir()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            log.claim("key", 0, "another")
    (tmp_path / in_the_way).rmdir()
    assert not log.claim("key", 0, "nonce")
    assert log.claim("key", 0, "another")


def test_a_crash_between_two_generations_forgets_nothing(tmp_path, open_log):
    open_log().claim("key", 0, "nonce")
    (tmp_path / "nonces").rename(tmp_path / "nonces.previous")
    again = open_log()
    assert not again.claim("key", 0, "nonce")
    assert again.claim("key", 0, "another")
