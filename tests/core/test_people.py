from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

import core.people
from core.errors import InvalidRequest
from core.people import (
    CODE_SECONDS,
    LONGEST_PASSWORD,
    NEW_AFTER_SHARE,
    SHORTEST_PASSWORD,
    after_code,
    after_seeing,
    check_code_secret,
    check_email,
    check_password,
    code_uri,
    digest_of_recovery,
    hash_password,
    is_password,
    new_code_secret,
    new_recovery_codes,
    step_of_code,
)
from tests.builders import a_sign_in, a_user
from tests.clocks import NOON

# Source: RFC 6238, appendix B, SHA-1; the last six of its eight digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
AT, CODE = datetime.fromtimestamp(1234567890, UTC), VECTORS[1234567890]
FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in CODE)
STEP = timedelta(seconds=CODE_SECONDS)
LIFETIME = timedelta(hours=12)


def with_codes(**changes):
    return a_user(code_secret=SECRET, **changes)


# --- codes


@pytest.mark.parametrize("seconds", VECTORS)
def test_codes_are_those_of_the_rfc(seconds):
    now = datetime.fromtimestamp(seconds, UTC)
    assert step_of_code(SECRET, VECTORS[seconds], now, 0) == seconds // CODE_SECONDS


@pytest.mark.parametrize("drift", [-1, 1])
def test_a_clock_may_be_one_step_off(drift):
    assert step_of_code(SECRET, CODE, AT + drift * STEP, 0) == int(AT.timestamp()) // CODE_SECONDS


@pytest.mark.parametrize("drift", [-2, 2])
def test_a_clock_may_not_be_two_steps_off(drift):
    assert step_of_code(SECRET, CODE, AT + drift * STEP, 0) is None


def test_a_code_may_be_typed_with_a_blank():
    assert step_of_code(SECRET, f" {CODE[:3]} {CODE[3:]} ", AT, 0) is not None


@pytest.mark.parametrize("code", ["", "0", CODE[:5], f"{CODE}0", "five12", FULL_WIDTH, "\ud800", "-05924", "5924"])
def test_what_is_not_the_code_is_refused(code):
    assert step_of_code(SECRET, code, AT, 0) is None


@pytest.mark.parametrize("drift", [-1, 0, 1])
def test_a_code_is_accepted_once_in_all_the_time_that_it_is_good_for(drift):
    once = after_code(with_codes(), CODE, AT + drift * STEP)
    assert once is not None
    assert [after_code(once, CODE, AT + each * STEP) for each in (-1, 0, 1)] == [None] * 3


def test_after_a_code_no_older_one_is_accepted():
    assert after_code(with_codes(code_step=int(AT.timestamp()) // CODE_SECONDS + 1), CODE, AT) is None


def test_who_has_no_second_factor_has_no_code():
    assert after_code(a_user(), CODE, AT) is None
    assert after_code(a_user(), "", AT) is None


def test_an_app_can_read_the_secret_off_the_code_to_scan():
    uri = urlsplit(code_uri(SECRET, "ann@example.com", "One Fleet & more"))
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/One Fleet & more:ann@example.com")
    assert parse_qs(uri.query) == {"secret": [SECRET], "issuer": ["One Fleet & more"], "digits": ["6"]}


def test_secrets_are_long_and_no_two_are_the_same():
    assert len({check_code_secret(new_code_secret()) for _ in range(100)}) == 100


@pytest.mark.parametrize("secret", ["", "A", "GEZDGNBV", SECRET.lower(), f"{SECRET}{SECRET}", "1" * 32, "é" * 32])
def test_a_secret_that_is_none_of_ours_is_refused_and_not_repeated(secret):
    with pytest.raises(InvalidRequest) as caught:
        check_code_secret(secret)
    assert not secret or secret not in str(caught.value).split()


# --- recovery codes


def test_a_recovery_code_stands_in_once():
    first, second, *_ = codes = new_recovery_codes()
    user = with_codes(recovery=tuple(map(digest_of_recovery, codes)))
    once = after_code(user, first, AT)
    assert (len(user.recovery), len(once.recovery)) == (8, 7)
    assert after_code(once, first, AT) is None
    assert after_code(once, second, AT) is not None


@pytest.mark.parametrize(
    "typed", [str.upper, lambda code: code.replace("-", ""), lambda code: f" {code.replace('-', ' ')} "]
)
def test_a_recovery_code_may_be_typed_in_other_ways(typed):
    (code, *_) = new_recovery_codes()
    assert after_code(with_codes(recovery=(digest_of_recovery(code),)), typed(code), AT) is not None


def test_nothing_is_no_recovery_code():
    codes = new_recovery_codes()
    assert after_code(with_codes(recovery=tuple(map(digest_of_recovery, codes))), "", AT) is None


def test_no_two_recovery_codes_are_the_same():
    assert len({code for _ in range(20) for code in new_recovery_codes()}) == 160


# --- e-mail addresses and passwords


@pytest.mark.parametrize("typed", ["ann@example.com", " Ann@Example.COM\t", "ANN@EXAMPLE.COM"])
def test_an_email_address_is_known_in_one_spelling(typed):
    assert check_email(typed) == "ann@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@b@example.com",
        "an n@example.com",
        "ann@exa\nmple.com",
        "ann\x00@example.com",
        "ann\x7f@example.com",
        "ann\ud800@example.com",
        "ann\u202e@example.com",
        "a" * 65 + "@example.com",
        "ann@" + "a" * 250,
    ],
)
def test_what_is_no_email_address_is_refused(text):
    with pytest.raises(InvalidRequest):
        check_email(text)


@pytest.mark.parametrize("length", [SHORTEST_PASSWORD, LONGEST_PASSWORD])
def test_a_password_may_be_as_long_as_that(length):
    assert check_password("x" * length) == "x" * length


@pytest.mark.parametrize("password", ["", "y" * (SHORTEST_PASSWORD - 1), "y" * (LONGEST_PASSWORD + 1)])
def test_a_password_may_not_be_as_long_as_that_and_is_not_repeated(password):
    with pytest.raises(InvalidRequest) as caught:
        check_password(password)
    assert "yyy" not in str(caught.value)


def test_an_email_address_is_no_password():
    with pytest.raises(InvalidRequest):
        check_password(" Ann@Example.com ", "ann@example.com")


@pytest.mark.parametrize("password", ["correct horse", "", "päßwörter", "\ud800" * 10, "x" * LONGEST_PASSWORD])
def test_a_password_is_told_from_others(password):
    kept = hash_password(password)
    assert is_password(password, kept)
    assert not is_password(f"{password} ", kept)
    assert not is_password(password[1:] + "?", kept)


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own():
    first, second = hash_password("correct horse"), hash_password("correct horse")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


@pytest.mark.parametrize("password", ["", "x"])
def test_nobody_has_a_password(password):
    assert not is_password(password, "")


def test_that_there_is_nobody_takes_as_long_as_a_wrong_password():
    *work, _salt, _digest = hash_password("correct horse").split("$")
    assert core.people._nobodys_hash().split("$")[:-2] == work


# --- signed-in browsers


def test_a_sign_in_is_over_at_its_end_and_not_before():
    sign_in = a_sign_in(ends_at=NOON + LIFETIME)
    assert not sign_in.is_over(NOON + LIFETIME - timedelta(microseconds=1))
    assert sign_in.is_over(NOON + LIFETIME)


def test_a_sign_in_that_is_used_lasts_longer():
    later = NOON + LIFETIME / NEW_AFTER_SHARE
    seen = after_seeing(a_sign_in(), later, LIFETIME)
    assert (seen.seen_at, seen.ends_at) == (later, later + LIFETIME)


def test_a_sign_in_that_was_used_just_before_is_left_alone():
    sign_in = a_sign_in()
    just_before = NOON + LIFETIME / NEW_AFTER_SHARE - timedelta(microseconds=1)
    assert after_seeing(sign_in, just_before, LIFETIME) is sign_in


def test_one_that_awaits_a_code_does_not_last_longer_for_being_looked_at():
    waiting = replace(a_sign_in(), awaits_code=True)
    assert after_seeing(waiting, NOON + LIFETIME / 2, LIFETIME) is waiting


# --- what is not told


def test_no_record_shows_its_secrets():
    user = a_user(password_hash="hush-1", code_secret="hush-2", recovery=("hush-3",))
    assert "hush" not in f"{user!r} {a_sign_in(digest='hush-4')!r}"
