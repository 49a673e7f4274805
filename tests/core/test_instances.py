from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import IncorrectState
from core.instances import (
    STATES,
    VISIBLE_AFTER_END,
    Cause,
    Instance,
    Power,
    ShutdownBehaviour,
    State,
    Wanted,
    absorb,
    after_failure,
    after_reboot,
    after_rebooting,
    after_start,
    after_stop,
    after_terminate,
)
from tests.builders import an_instance
from tests.clocks import NOON

LATER = NOON + timedelta(minutes=5)
REFUSED = "refused"
VERBS = {
    "start": after_start,
    "stop": after_stop,
    "force": lambda machine, now: after_stop(machine, now, is_forced=True),
    "reboot": lambda machine, _: after_reboot(machine),
    "terminate": after_terminate,
}
PENDING, RUNNING, STOPPING, STOPPED, SHUTTING_DOWN, TERMINATED = State

# What each verb makes of a machine in each state. Source: EC2 user guide, "Instance lifecycle".
OUTCOMES = {
    "start": {PENDING: PENDING, RUNNING: RUNNING, STOPPING: REFUSED, STOPPED: PENDING},
    "stop": {PENDING: REFUSED, RUNNING: STOPPING, STOPPING: STOPPING, STOPPED: STOPPED},
    "force": {PENDING: REFUSED, RUNNING: STOPPING, STOPPING: STOPPING, STOPPED: STOPPED},
    "reboot": {PENDING: REFUSED, RUNNING: RUNNING, STOPPING: REFUSED, STOPPED: REFUSED},
    "terminate": dict.fromkeys((PENDING, RUNNING, STOPPING, STOPPED), SHUTTING_DOWN),
}
EVERY_OUTCOME = [
    (verb, state, outcomes.get(state, state if verb == "terminate" else REFUSED))
    for verb, outcomes in OUTCOMES.items()
    for state in State
]
UNCHANGING = [("start", PENDING), ("start", RUNNING), ("stop", STOPPING), ("stop", STOPPED)]
UNCHANGING += [("terminate", SHUTTING_DOWN), ("terminate", TERMINATED)]


def test_every_pair_of_wanted_and_observed_is_a_state():
    assert set(STATES) == {(wanted, power) for wanted in Wanted for power in (None, *Power)}


def test_every_state_can_be_reached():
    assert set(STATES.values()) == set(State)


# --- what a renter asks for


@pytest.mark.parametrize(("verb", "state", "outcome"), EVERY_OUTCOME)
def test_each_verb_leads_where_it_should_from_each_state(verb, state, outcome):
    machine = an_instance(state)
    if outcome is REFUSED:
        with pytest.raises(IncorrectState) as caught:
            VERBS[verb](machine, LATER)
        assert (caught.value.instance_id, caught.value.state) == (machine.id, state)
    else:
        assert VERBS[verb](machine, LATER).state is outcome


@pytest.mark.parametrize(("verb", "state"), UNCHANGING)
def test_asking_for_what_is_so_already_changes_nothing(verb, state):
    machine = an_instance(state, cause=Cause.GUEST, detail="as before")
    assert VERBS[verb](machine, LATER) == machine


def test_a_stop_may_be_forced_afterwards_but_not_eased():
    stopping = after_stop(an_instance(), NOON)
    assert not stopping.is_forced
    forced = after_stop(stopping, LATER, is_forced=True)
    assert forced.is_forced
    assert after_stop(forced, LATER).is_forced


def test_starting_again_forgets_why_it_was_stopped():
    stopped = an_instance(State.STOPPED, cause=Cause.CRASH, detail="It crashed.", is_forced=True)
    started = after_start(stopped, LATER)
    assert (started.cause, started.detail, started.is_forced, started.changed_at) == (None, "", False, LATER)


def test_stopping_cancels_a_reboot():
    assert not after_stop(after_reboot(an_instance()), LATER).needs_reboot


def test_terminating_ends_the_rental_at_once_and_frees_nothing_yet():
    ended = after_terminate(an_instance(), LATER)
    assert (ended.ended_at, ended.terminated_at, ended.cause) == (LATER, None, Cause.USER)
    assert not ended.is_gone


def test_terminating_again_does_not_move_the_end():
    ended = after_terminate(an_instance(), NOON)
    assert after_terminate(ended, LATER) is ended


def test_a_reboot_that_is_done_is_not_done_again():
    assert after_rebooting(after_reboot(an_instance())) == an_instance()
    assert after_rebooting(an_instance()) == an_instance()


# --- what a driver sees

LAUNCHING = an_instance(State.PENDING)
STARTING = an_instance(State.PENDING, observed=Power.STARTING)
RESTARTING = after_start(an_instance(State.STOPPED), NOON)
SAME = "same"
SEEN = {
    "launching": (
        LAUNCHING,
        {
            Power.ABSENT: SAME,
            Power.CREATING: (PENDING, None),
            Power.STOPPED: (PENDING, None),
            Power.STARTING: (PENDING, None),
            Power.RUNNING: (RUNNING, None),
            Power.STOPPING: (PENDING, None),
            Power.CRASHED: (SHUTTING_DOWN, Cause.LAUNCH_FAILED),
        },
    ),
    "starting": (
        STARTING,
        {
            Power.ABSENT: (TERMINATED, Cause.LAUNCH_FAILED),
            Power.CREATING: (PENDING, None),
            Power.STOPPED: (STOPPED, Cause.GUEST),
            Power.STARTING: SAME,
            Power.RUNNING: (RUNNING, None),
            Power.STOPPING: (STOPPING, Cause.GUEST),
            Power.CRASHED: (SHUTTING_DOWN, Cause.LAUNCH_FAILED),
        },
    ),
    "running": (
        an_instance(),
        {
            Power.ABSENT: (TERMINATED, Cause.LOST),
            Power.CREATING: SAME,
            Power.STOPPED: (STOPPED, Cause.GUEST),
            Power.STARTING: SAME,
            Power.RUNNING: SAME,
            Power.STOPPING: (STOPPING, Cause.GUEST),
            Power.CRASHED: (STOPPED, Cause.CRASH),
        },
    ),
    "stopping": (
        an_instance(State.STOPPING, cause=Cause.USER),
        {
            Power.ABSENT: (TERMINATED, Cause.LOST),
            Power.STOPPED: (STOPPED, Cause.USER),
            Power.RUNNING: SAME,
            Power.STOPPING: (STOPPING, Cause.USER),
            Power.CRASHED: (STOPPED, Cause.USER),
        },
    ),
    "stopped": (
        an_instance(State.STOPPED, cause=Cause.USER),
        {
            Power.ABSENT: (TERMINATED, Cause.LOST),
            Power.CREATING: (STOPPING, Cause.USER),
            Power.STOPPED: SAME,
            Power.STARTING: (STOPPING, Cause.USER),
            Power.RUNNING: (STOPPING, Cause.USER),
            Power.CRASHED: (STOPPED, Cause.USER),
        },
    ),
    "restarting": (
        RESTARTING,
        {
            Power.ABSENT: (TERMINATED, Cause.LOST),
            Power.STOPPED: SAME,
            Power.STARTING: (PENDING, None),
            Power.RUNNING: (RUNNING, None),
            Power.CRASHED: (PENDING, None),
        },
    ),
    "shutting down": (
        an_instance(State.SHUTTING_DOWN, cause=Cause.USER),
        {
            Power.ABSENT: (TERMINATED, Cause.USER),
            Power.STOPPED: (SHUTTING_DOWN, Cause.USER),
            Power.STARTING: (SHUTTING_DOWN, Cause.USER),
            Power.RUNNING: SAME,
            Power.CRASHED: (SHUTTING_DOWN, Cause.USER),
        },
    ),
    "terminated": (an_instance(State.TERMINATED), dict.fromkeys(Power, SAME)),
}
EVERY_SIGHT = [(name, power, outcome) for name, (_, outcomes) in SEEN.items() for power, outcome in outcomes.items()]


@pytest.mark.parametrize(("name", "power", "outcome"), EVERY_SIGHT)
def test_what_is_seen_moves_each_machine_where_it_should(name, power, outcome):
    machine, _ = SEEN[name]
    after = absorb(machine, power, LATER)
    if outcome is SAME:
        assert after is machine
    else:
        assert (after.state, after.cause) == outcome


@pytest.mark.parametrize("name", SEEN)
def test_a_silent_backend_changes_nothing(name):
    machine, _ = SEEN[name]
    assert absorb(machine, Power.UNKNOWN, LATER, private_address="10.0.0.9") is machine


@pytest.mark.parametrize("power", [Power.STOPPED, Power.STOPPING])
def test_a_machine_that_ends_when_shut_down_from_inside_has_ended(power):
    machine = an_instance(shutdown_behaviour=ShutdownBehaviour.TERMINATE)
    after = absorb(machine, power, LATER)
    assert (after.state, after.cause, after.ended_at) == (State.SHUTTING_DOWN, Cause.GUEST, LATER)


def test_a_crash_is_no_shutdown_from_inside():
    machine = an_instance(shutdown_behaviour=ShutdownBehaviour.TERMINATE)
    assert absorb(machine, Power.CRASHED, LATER).state is State.STOPPED


def test_a_machine_that_is_gone_has_no_addresses():
    running = absorb(LAUNCHING, Power.RUNNING, NOON, private_address="10.0.0.1", public_address="203.0.113.1")
    assert (running.private_address, running.public_address) == ("10.0.0.1", "203.0.113.1")
    gone = absorb(after_terminate(running, NOON), Power.ABSENT, LATER)
    assert (gone.private_address, gone.public_address, gone.terminated_at) == ("", "", LATER)


def test_the_end_of_a_lost_machine_is_when_it_was_missed():
    lost = absorb(an_instance(), Power.ABSENT, LATER)
    assert (lost.ended_at, lost.terminated_at, lost.has_failed) == (LATER, LATER, False)


# --- a launch that fails


def test_a_launch_that_is_given_up_ends_the_machine_as_failed():
    failed = after_failure(LAUNCHING, LATER, Cause.NO_CAPACITY, "There is no room.")
    assert (failed.state, failed.has_failed, failed.ended_at) == (State.SHUTTING_DOWN, True, LATER)
    assert (failed.cause, failed.detail) == (Cause.NO_CAPACITY, "There is no room.")


def test_a_restart_that_is_given_up_leaves_the_disk_to_its_renter():
    failed = after_failure(RESTARTING, LATER, Cause.LAUNCH_FAILED, "It does not start.")
    assert (failed.state, failed.has_failed, failed.ended_at) == (State.STOPPED, False, None)


@pytest.mark.parametrize("state", [RUNNING, STOPPING, STOPPED, SHUTTING_DOWN, TERMINATED])
def test_a_failure_to_start_means_nothing_to_a_machine_that_is_not_being_started(state):
    machine = an_instance(state)
    assert after_failure(machine, LATER, Cause.LAUNCH_FAILED, "") is machine


# --- for how long it is seen


def test_a_terminated_machine_is_seen_for_an_hour():
    gone = an_instance(State.TERMINATED)
    assert gone.is_visible(NOON + VISIBLE_AFTER_END - timedelta(microseconds=1))
    assert not gone.is_visible(NOON + VISIBLE_AFTER_END)


@pytest.mark.parametrize("state", [state for state in State if state is not TERMINATED])
def test_a_machine_that_is_not_gone_is_always_seen(state):
    assert an_instance(state).is_visible(NOON + timedelta(days=3650))


# --- whatever happens

EVENTS = st.lists(st.one_of(st.sampled_from(sorted(VERBS)), st.sampled_from(Power), st.just(REFUSED)), max_size=20)


def happen(machine: Instance, event: object, now: object) -> Instance:
    if isinstance(event, Power):
        return absorb(machine, event, now)
    if event is REFUSED:
        return after_failure(machine, now, Cause.LAUNCH_FAILED, "It does not start.")
    try:
        return VERBS[event](machine, now)
    except IncorrectState:
        return machine


@given(EVENTS, st.sampled_from(ShutdownBehaviour))
def test_whatever_happens_a_machines_record_makes_sense(events, behaviour):
    machine, now = an_instance(State.PENDING, shutdown_behaviour=behaviour), NOON
    for event in events:
        before, now = machine, now + timedelta(minutes=1)
        machine = happen(before, event, now)
        assert machine.is_gone == (machine.state is State.TERMINATED)
        assert machine.has_ended == (machine.ended_at is not None)
        assert machine.has_ended >= before.has_ended, "an end was taken back"
        assert before.ended_at in (None, machine.ended_at), "an end was moved"
        assert not machine.is_gone or machine.ended_at <= machine.terminated_at
        assert not machine.has_failed or machine.has_ended
        assert not machine.needs_reboot or machine.wanted is Wanted.RUNNING
        assert machine.observed is not Power.UNKNOWN


@given(EVENTS, st.sampled_from(Power))
def test_seeing_the_same_twice_is_no_news(events, power):
    machine = an_instance(State.PENDING)
    for event in events:
        machine = happen(machine, event, NOON)
    once = absorb(machine, power, NOON)
    assert absorb(once, power, LATER) is once
