"""Downloads, from a real server with the faults of real ones."""

import hashlib
import io
import os
import random
import socket
import subprocess
import time
from contextlib import closing
from http.client import HTTPMessage
from urllib.request import Request

import pytest

from core.compute.qemu.diskimage import UnusableImage
from core.compute.qemu.fetching import (
    Checksum,
    NotFetched,
    Patience,
    WrongChecksum,
    _Redirects,
    fetched,
    file_name,
    find_checksum,
    read_listing,
    without_secrets,
)
from tests.mirror import serving
from tests.smalldisk import mounted

CONTENT = random.Random(4).randbytes(3_000_000)
SHA256, SHA512 = hashlib.sha256(CONTENT).hexdigest(), hashlib.sha512(CONTENT).hexdigest()
AT_ONCE = Patience(silence_seconds=20, tries=3, pause_seconds=0)


@pytest.fixture
def mirror():
    with serving(CONTENT) as mirror:
        yield mirror


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "fetching"


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "small", "2m") as folder:
        yield folder


def fetch(mirror_or_url, folder, **options):
    """Return the content that comes, and what was told on the way."""
    url = getattr(mirror_or_url, "url", mirror_or_url)
    told = []
    with fetched(
        url, folder, lambda done, total: told.append((done, total)), **{"patience": AT_ONCE, **options}
    ) as file:
        assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
        return file.path.read_bytes(), told


def interrupt(mirror, folder, *, at):
    """Fetch until the server gives up after so many bytes; that many are then in the folder."""
    mirror.cuts = [at, *([0] * 10)]
    with pytest.raises(NotFetched):
        fetch(mirror, folder)
    mirror.cuts = []
    mirror.asked.clear()


# --- what comes


def test_a_file_comes_as_it_is_and_nothing_is_left_behind(mirror, folder):
    content, told = fetch(mirror, folder)
    assert content == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert list(folder.iterdir()) == []


def test_a_file_may_be_moved_away(mirror, folder, tmp_path):
    with fetched(mirror.url, folder, print) as file:
        file.path.rename(tmp_path / "mine")
    assert (tmp_path / "mine").read_bytes() == CONTENT


def test_a_file_of_unknown_size_comes_whole(mirror, folder):
    mirror.tells_size = False
    content, told = fetch(mirror, folder)
    assert (content, told[-1]) == (CONTENT, (len(CONTENT), 0))


# --- going on


def test_a_connection_that_breaks_is_made_anew_and_asks_for_the_rest_only(mirror, folder):
    mirror.cuts = [1_000_000, 500_000]
    assert fetch(mirror, folder)[0] == CONTENT
    assert mirror.ranges == ["", "bytes=1000000-", "bytes=1500000-"]


def test_the_next_command_goes_on_where_an_earlier_one_ended(mirror, folder):
    interrupt(mirror, folder, at=2_000_000)
    content, told = fetch(mirror, folder, checksum=Checksum.read(SHA512))
    assert content == CONTENT
    assert mirror.asked[0]["Range"] == "bytes=2000000-"
    assert mirror.asked[0]["If-Range"] == '"one"'
    assert told[0] == (2_000_000, len(CONTENT))


def test_a_file_that_has_changed_meanwhile_is_fetched_from_its_beginning(mirror, folder):
    interrupt(mirror, folder, at=2_000_000)
    mirror.content, mirror.validators = CONTENT[::-1], {"ETag": '"two"'}
    assert fetch(mirror, folder)[0] == CONTENT[::-1]
    assert mirror.ranges == ["bytes=2000000-"]


def test_a_rest_of_another_file_is_not_joined_to_what_is_here(mirror, folder):
    interrupt(mirror, folder, at=2_000_000)
    mirror.content, mirror.validators, mirror.heeds_if_range = CONTENT[::-1], {"ETag": '"two"'}, False
    with pytest.raises(NotFetched, match="something else than the rest"):
        fetch(mirror, folder)
    assert fetch(mirror, folder)[0] == CONTENT[::-1]


def test_a_file_that_has_become_shorter_than_what_is_here_is_fetched_from_its_beginning(mirror, folder):
    interrupt(mirror, folder, at=2_000_000)
    mirror.content, mirror.heeds_if_range = CONTENT[:1_000_000], False
    assert fetch(mirror, folder)[0] == CONTENT[:1_000_000]
    assert mirror.ranges == ["bytes=2000000-", ""]


@pytest.mark.parametrize(
    ("validators", "asked_for"),
    [
        ({"Last-Modified": "Sun, 22 Nov 2026 12:00:00 GMT"}, "bytes=1000000-"),
        ({"ETag": 'W/"weak"', "Last-Modified": "Sun, 22 Nov 2026 12:00:00 GMT"}, "bytes=1000000-"),
        ({"ETag": 'W/"weak"'}, ""),
        ({}, ""),
    ],
)
def test_only_a_server_that_can_tell_whether_the_rest_still_fits_is_asked_for_it(mirror, folder, validators, asked_for):
    mirror.validators = validators
    interrupt(mirror, folder, at=1_000_000)
    assert fetch(mirror, folder)[0] == CONTENT
    assert mirror.ranges == [asked_for]


def test_a_file_that_is_whole_but_was_not_used_is_not_fetched_again(mirror, folder):
    with pytest.raises(ZeroDivisionError), fetched(mirror.url, folder, print):
        raise ZeroDivisionError
    mirror.asked.clear()
    assert fetch(mirror, folder)[0] == CONTENT
    assert mirror.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_file_that_turned_out_useless_is_not_kept(mirror, folder):
    with pytest.raises(UnusableImage), fetched(mirror.url, folder, print):
        raise UnusableImage("it", "it is none")
    assert list(folder.iterdir()) == []


def test_a_server_that_brings_nothing_any_more_is_given_up_and_what_has_come_is_kept(mirror, folder):
    mirror.cuts = [1_500_000, *([0] * 10)]
    with pytest.raises(NotFetched, match=r"ended after 1500000 of 3000000 bytes. 1.4 MiB of it are here: the same"):
        fetch(mirror, folder)
    assert len(mirror.asked) == 1 + AT_ONCE.tries + 1
    assert [file.stat().st_size for file in folder.glob("*.part")] == [1_500_000]


def test_what_nobody_came_back_for_within_a_week_is_removed(mirror, folder):
    interrupt(mirror, folder, at=1_000_000)
    long_ago = time.time() - 8 * 86400
    for file in folder.iterdir():
        os.utime(file, (long_ago, long_ago))
    assert fetch(mirror, folder)[0] == CONTENT
    assert mirror.ranges == [""]


def test_two_commands_do_not_fetch_the_same_file_at_once(mirror, folder):
    with (
        fetched(mirror.url, folder, print),
        pytest.raises(NotFetched, match="is being fetched by another command already"),
    ):
        fetch(mirror, folder)


# --- checksums


def test_a_file_that_is_not_what_it_should_be_is_thrown_away(mirror, folder):
    with pytest.raises(WrongChecksum, match=f"its sha256 is {SHA256}, and {'0' * 64} was expected"):
        fetch(mirror, folder, checksum=Checksum.read("0" * 64))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("digits", [SHA256, SHA512, SHA256.upper()])
def test_a_file_that_is_what_it_should_be_passes(mirror, folder, digits):
    assert fetch(mirror, folder, checksum=Checksum.read(digits))[0] == CONTENT


@pytest.mark.parametrize(
    "line",
    [
        f"{SHA256}  small.qcow2",
        f"{SHA256} *small.qcow2",
        f"{SHA256}  ./small.qcow2",
        f"{SHA512}  small.qcow2",
        f"SHA256 (small.qcow2) = {SHA256}",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSHA512 (small.qcow2) = {SHA512}",
    ],
)
def test_a_checksum_is_found_in_every_kind_of_listing(line):
    found = find_checksum(f"{'1' * 64}  other.qcow2\n{'2' * 64}  not-small.qcow2\n{line}\n", "small.qcow2")
    assert found.digits == hashlib.new(found.algorithm, CONTENT).hexdigest()


def test_a_listing_without_the_file_tells_what_it_has():
    with pytest.raises(NotFetched, match=r"does not have small.qcow2; it has other.qcow2"):
        find_checksum(f"{'1' * 64}  other.qcow2\n", "small.qcow2")


def test_a_listing_is_read_from_a_url_or_a_file(mirror, tmp_path):
    mirror.texts["/SHA256SUMS"] = "some"
    (tmp_path / "SHA256SUMS").write_text("others")
    assert read_listing(mirror.url.replace("/images/small.qcow2", "/SHA256SUMS")) == "some"
    assert read_listing(str(tmp_path / "SHA256SUMS")) == "others"
    with pytest.raises(NotFetched, match="No such file"):
        read_listing(str(tmp_path / "nothing"))


@pytest.mark.parametrize("digits", ["", "abc", "g" * 64, "0" * 63])
def test_what_is_no_checksum_is_refused(digits):
    with pytest.raises(NotFetched, match="SHA-256 has 64 hexadecimal digits"):
        Checksum.read(digits)


# --- what goes wrong


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (503, "503")])
def test_a_refusal_of_the_server_is_told(mirror, folder, status, words):
    mirror.status = status
    with pytest.raises(NotFetched, match=f"small.qcow2: the server answers {words}"):
        fetch(mirror, folder)
    assert len(mirror.asked) == 1
    assert list(folder.iterdir()) == []


def test_a_server_that_falls_silent_is_given_up(mirror, folder):
    interrupt(mirror, folder, at=1_000_000)
    mirror.stalls_at = 0
    patience = Patience(silence_seconds=0.1, tries=0, pause_seconds=0)
    with pytest.raises(NotFetched, match=r"nothing has come for 0.1 seconds. 1.0 MiB of it are here"):
        fetch(mirror, folder, patience=patience)


def test_what_a_server_sent_before_it_fell_silent_is_kept_to_the_last_byte(mirror, folder):
    mirror.stalls_at = 1_000_001
    assert fetch(mirror, folder, patience=Patience(silence_seconds=0.5, pause_seconds=0))[0] == CONTENT
    assert set(mirror.ranges) == {"", "bytes=1000001-", "bytes=2000002-"}


def test_a_host_that_is_not_there_is_told(folder):
    with pytest.raises(NotFetched, match="there is no such host"):
        fetch("http://nobody.invalid/disk.qcow2", folder)


def test_a_refused_connection_is_told(folder):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens on it
        with pytest.raises(NotFetched, match="the connection was refused"):
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/disk.qcow2", folder)


def test_a_server_that_does_not_speak_tls_is_told(mirror, folder):
    with pytest.raises(NotFetched, match="no encrypted connection"):
        fetch(mirror.url.replace("http:", "https:"), folder)


@pytest.mark.parametrize("url", ["ftp://host/disk", "file:///etc/passwd", "http://", "https:///x", "http://[::1/x"])
def test_only_urls_of_the_web_are_fetched(folder, url):
    with pytest.raises(NotFetched, match=r"only http:// and https:// can|is no URL"):
        fetch(url, folder)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http://127.0.0.1:http/x", "http://127.0.0.1/a b"])
def test_a_url_that_makes_no_sense_is_refused_in_words(folder, url):
    with pytest.raises(NotFetched, match=r"127\.0\.0\.1"):
        fetch(url, folder)


@pytest.mark.parametrize("tells_size", [True, False])
def test_a_full_disk_is_told_and_what_has_come_is_kept(mirror, tmp_path, small_disk, tells_size):
    mirror.tells_size = tells_size
    with pytest.raises((NotFetched, OSError), match=r"are to come, and|No space left"):
        fetch(mirror, small_disk / "fetching")
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    mirror.asked.clear()
    assert fetch(mirror, small_disk / "fetching")[0] == CONTENT
    assert mirror.ranges[0].startswith("" if tells_size else "bytes=")


# --- redirects and credentials


def test_redirects_are_followed_with_the_range_and_without_the_credentials(mirror, folder):
    interrupt(mirror, folder, at=1_000_000)
    with serving(b"") as front:
        front.status, front.headers = 302, {"Location": mirror.url}
        url = front.url.replace("http://", "http://me:secret@")
        assert fetch(url, folder)[0] == CONTENT
        assert front.asked[0]["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "Authorization" not in mirror.asked[0]


def test_a_redirect_to_something_else_than_the_web_is_refused(mirror, folder):
    mirror.status, mirror.headers = 302, {"Location": "ftp://127.0.0.1/disk"}
    with pytest.raises(NotFetched):
        fetch(mirror, folder)
    mirror.headers = {"Location": "file:///etc/passwd"}
    with pytest.raises(NotFetched):
        fetch(mirror, folder)


def test_a_redirect_from_an_encrypted_connection_to_an_open_one_is_refused():
    request = Request("https://me@cloud.example/disk?key=secret")
    with pytest.raises(
        NotFetched, match=r"https://cloud.example/disk leads to http://other.example/disk, which is not"
    ):
        _Redirects().redirect_request(
            request, io.BytesIO(), 302, "Found", HTTPMessage(), "http://other.example/disk?a=b"
        )


def test_a_loop_of_redirects_ends(mirror, folder):
    mirror.status, mirror.headers = 302, {"Location": mirror.url}
    with pytest.raises(NotFetched, match="the server answers 302"):
        fetch(mirror, folder)


def test_what_is_shown_of_a_url_has_no_secrets():
    url = "https://me:secret@cloud.example:8443/a/disk%201.qcow2?signature=secret#secret"
    assert without_secrets(url) == "https://cloud.example:8443/a/disk%201.qcow2"
    assert file_name(url) == "disk 1.qcow2"
