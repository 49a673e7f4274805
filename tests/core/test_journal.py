from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from core.accounts import Protocol
from core.ids import ProductId, SecurityGroupId
from core.instances import (
    Cause,
    Options,
    Power,
    State,
    absorb,
    after_failure,
    after_moving_port,
    after_reboot,
    after_rebooting,
    after_reinstall,
    after_setting,
    after_start,
    after_stop,
    after_terminate,
    after_work,
    with_news,
)
from core.journal import COMMAND_LINE, Author, Deed, author_of, deed_of, events_between, log_change, named
from tests.builders import a_caller, an_instance
from tests.clocks import NOON

RUNNING, STOPPED = an_instance(), an_instance(State.STOPPED)
NEWS = {
    "a reboot was asked for": (RUNNING, after_reboot(RUNNING)),
    "the reboot is done": (after_reboot(RUNNING), after_rebooting(after_reboot(RUNNING))),
    "a new disk was asked for": (RUNNING, after_reinstall(RUNNING, RUNNING.image_id)),
    "it has its new disk": (after_reinstall(RUNNING, RUNNING.image_id), after_work(RUNNING, 0, 1)),
    "its type was changed": (STOPPED, replace(STOPPED, product_id=ProductId(2))),
    "its ssh port was changed": (RUNNING, after_moving_port(RUNNING, 20_002)),
    "its security groups were changed": (RUNNING, replace(RUNNING, group_ids=(SecurityGroupId(2),))),
    "its options were changed": (RUNNING, after_setting(RUNNING, Options(hostname="web"))),
    "stopping": (RUNNING, after_stop(RUNNING, NOON)),
    "pending": (STOPPED, after_start(STOPPED, NOON)),
    "shutting-down": (RUNNING, after_terminate(RUNNING, NOON)),
    "running": (an_instance(State.PENDING), RUNNING),
}


def told(before, after, actor=""):
    return [(each.text, each.reason, each.actor) for each in events_between(before, after, NOON, actor)]


# --- who


def test_a_key_is_known_by_its_access_key():
    caller = a_caller(request_id="r-1", address="192.0.2.1")
    assert author_of(caller) == Author(caller.access_key, "192.0.2.1", Protocol.EC2, "r-1")


def test_a_person_is_known_by_their_email_address_and_an_operator_besides():
    caller = a_caller(access_key="", actor="ann@example.com", operator="op@example.com", protocol=Protocol.CONSOLE)
    author = author_of(caller)
    assert (author.actor, author.operator, author.protocol) == ("ann@example.com", "op@example.com", Protocol.CONSOLE)


def test_a_deed_of_a_caller_is_to_their_own_account():
    deed = deed_of(a_caller(), "stop", "machine 1", NOON, "forced")
    assert (deed.account_id, deed.verb, deed.subject, deed.detail, deed.at) == (
        a_caller().account_id,
        "stop",
        "machine 1",
        "forced",
        NOON,
    )


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([17], "machine 17"),
        ([17, 18], "machine 17, 18"),
        (range(1, 21), f"machine {', '.join(map(str, range(1, 21)))}"),
        (range(1, 24), f"machine {', '.join(map(str, range(1, 21)))} and 3 more"),
    ],
)
def test_of_many_things_the_first_few_are_named(ids, words):
    assert named("machine", ids) == words


# --- what became of a machine


@pytest.mark.parametrize("text", NEWS)
def test_a_renter_is_told_what_has_changed(text):
    before, after = NEWS[text]
    assert [each.text for each in events_between(before, after, NOON)] == [text]


@pytest.mark.parametrize(
    "after",
    [
        RUNNING,
        replace(RUNNING),
        with_news(RUNNING),
        replace(RUNNING, private_address="10.1.0.5"),
        after_start(RUNNING, NOON),
    ],
)
def test_what_nobody_would_notice_is_not_told(after):
    assert told(RUNNING, after) == []


def test_a_renter_is_told_why_where_the_house_or_the_machine_did_it():
    assert told(RUNNING, absorb(RUNNING, Power.CRASHED, NOON)) == [
        ("stopped", "The machine stopped without shutting down.", "")
    ]
    assert told(RUNNING, absorb(RUNNING, Power.CRASHED, NOON, detail="It ran out of memory.")) == [
        ("stopped", "It ran out of memory.", "")
    ]
    assert told(RUNNING, absorb(RUNNING, Power.STOPPED, NOON)) == [("stopped", "guest", "")]
    assert told(RUNNING, absorb(RUNNING, Power.ABSENT, NOON)) == [
        ("terminated", "The machine no longer exists on its host.", "")
    ]


def test_a_renter_is_told_why_a_machine_never_came_up():
    pending = an_instance(State.PENDING)
    after = after_failure(pending, NOON, Cause.NO_CAPACITY, "There is no room.")
    assert told(pending, after) == [("shutting-down", "There is no room.", "")]


def test_where_somebody_did_it_they_are_the_reason():
    assert told(RUNNING, after_stop(RUNNING, NOON), "ann@example.com") == [("stopping", "", "ann@example.com")]


def test_a_machine_that_crashes_while_it_reboots_has_not_rebooted():
    rebooting = after_reboot(RUNNING)
    assert told(rebooting, absorb(rebooting, Power.CRASHED, NOON)) == [
        ("stopped", "The machine stopped without shutting down.", "")
    ]


@pytest.mark.parametrize("end", [after_stop, after_terminate])
def test_a_reboot_that_comes_to_nothing_is_not_told_as_done(end):
    rebooting = after_reboot(RUNNING)
    assert "the reboot is done" not in [each.text for each in events_between(rebooting, end(rebooting, NOON), NOON)]


def test_what_was_refused_is_not_told_as_done():
    rebuilding = after_reinstall(RUNNING, RUNNING.image_id)
    told = events_between(rebuilding, after_work(rebuilding, 0, 1), NOON, refusal="There is no room.")
    assert [(each.text, each.reason) for each in told] == [("the change could not be made", "There is no room.")]
    (event,) = events_between(after_reboot(RUNNING), RUNNING, NOON, refusal="There is no room.")
    assert (event.text, event.reason, event.actor) == ("the reboot could not be done", "There is no room.", "")


# --- the log


def test_a_state_that_stays_is_no_line_of_the_log():
    with capture_logs() as lines:
        log_change(structlog.get_logger(), RUNNING, after_reboot(RUNNING))
    assert lines == []


def test_a_change_of_state_is_a_line_of_the_log_with_its_cause():
    with capture_logs() as lines:
        log_change(structlog.get_logger(), RUNNING, absorb(RUNNING, Power.CRASHED, NOON), request_id="r-1")
    (line,) = lines
    assert (line["event"], line["was"], line["cause"], line["instance_id"], line["request_id"]) == (
        "instance stopped",
        "running",
        "crash",
        1,
        "r-1",
    )


@pytest.mark.parametrize(
    ("verb", "subject", "about"),
    [
        ("make user", "user ann@example.com", "ann@example.com"),
        ("act for account", "account 7", "7"),
        ("terminate", "machine 17, 18", "machine 17, 18"),
        ("sign in", "", ""),
    ],
)
def test_what_a_deed_is_about_does_not_repeat_its_verb(verb, subject, about):
    assert Deed(NOON, None, COMMAND_LINE, verb, subject).about == about
