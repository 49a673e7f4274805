"""Variables of the environment, which override the file."""

import json
import re
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from core.compute.drivers import DRIVERS
from core.compute.qemu.settings import QemuSettings
from gateway import config
from gateway.config import ConfigError, ConsoleSettings
from tests.specimens import HERE, anywhere, known_keys, rows_of, way, with_every_key

FULL = with_every_key()
FULL["products"] = FULL["products"][:1]
SETTINGS = config.parse(FULL, HERE)
ROWS = {row["key"]: row["value"] for row in rows_of(FULL) if row["value"] is not None}
FIRST_OF_EACH_KEY = list({anywhere(key): key for key in reversed(ROWS)}.values())

WRONG = "\x07"
"""What no key can be."""


def variable(key):
    """How docs/configuration.md spells the variable of a key."""
    return "ONEFLEET_" + "__".join(re.sub("[^A-Z0-9]", "_", str(step).upper()) for step in way(key))


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def without(document, key):
    left = deepcopy(document)
    place = left
    *steps, last = way(key)
    for step in steps:
        if step not in place and isinstance(step, str):
            return left
        place = place[step]
    place.pop(last, None)
    return left


def settings(document=FULL, **environ):
    return config.parse(document, HERE, environ)


def origins(document=FULL, **environ):
    return {row["key"]: row["origin"] for row in rows_of(document, environ)}


def values(document=FULL, **environ):
    return {row["key"]: row["value"] for row in rows_of(document, environ)}


def problems(document=FULL, **environ):
    with pytest.raises(ConfigError) as refused:
        settings(document, **environ)
    return list(refused.value.problems)


# --- every key


@pytest.mark.parametrize("key", FIRST_OF_EACH_KEY)
def test_a_variable_says_what_the_file_leaves_out(key):
    said = {variable(key): as_text(ROWS[key])}
    document = without(FULL, key)
    assert settings(document, **said) == SETTINGS
    assert origins(document, **said)[key] == variable(key)


@pytest.mark.parametrize("key", FIRST_OF_EACH_KEY)
def test_a_wrong_value_is_told_by_the_name_of_its_variable(key):
    assert any(problem.startswith(f"{variable(key)}: ") for problem in problems(**{variable(key): WRONG}))


def test_every_key_that_the_reader_looks_for_is_among_those():
    tried = {anywhere(key) for key in FIRST_OF_EACH_KEY}
    assert {
        key for key in known_keys() if not any(each == key or each.startswith((f"{key}.", f"{key}[")) for each in tried)
    } == set()


def test_every_key_of_every_driver_can_be_said():
    assert QemuSettings in map(type, (kind.read_settings({}) for kind in DRIVERS.values()))
    said = settings(ONEFLEET_COMPUTE__DRIVER="qemu", ONEFLEET_COMPUTE__QEMU__NAME_SERVERS='["9.9.9.9"]')
    assert said.compute.driver_settings == QemuSettings(name_servers=("9.9.9.9",))


# --- what is said


def test_the_variable_goes_before_the_file_and_the_file_before_the_default():
    document = {"ec2": {}, "log": {"level": "error"}}
    assert settings(document, ONEFLEET_LOG__LEVEL="debug").log.level == "debug"
    assert settings(document).log.level == "error"
    assert origins(document) | {"ec2.path": "default"} == origins(document)
    assert origins(document)["log.level"] == "config.toml"


def test_a_text_is_taken_as_it_stands_although_it_could_be_toml():
    assert settings(ONEFLEET_CONSOLE__TITLE="8080").console.title == "8080"
    assert settings(ONEFLEET_CONSOLE__TITLE='"Example"').console.title == '"Example"'


def test_what_does_not_fit_as_a_text_is_read_as_toml():
    assert settings(ONEFLEET_SERVER__MAX_BODY_KIB="2").server.max_body_kib == 2
    assert str(settings(ONEFLEET_SERVER__LISTEN='"[::1]:1"').server.listen) == "[::1]:1"


@pytest.mark.parametrize("text", ["2\nother = 3", "2 3", "[" * 5000, ""])
def test_what_is_no_value_in_toml_is_refused_as_it_stands(text):
    [problem] = problems(ONEFLEET_SERVER__MAX_BODY_KIB=text)
    assert problem.startswith("ONEFLEET_SERVER__MAX_BODY_KIB: ")
    assert problem.endswith("is not a whole number from 1 to 1048576")


def test_variables_without_two_underscores_in_a_row_are_not_about_keys():
    assert settings(ONEFLEET_CONFIG="x", ONEFLEET_UNPACK_DIR="y", ONEFLEETSERVER__LISTEN="z") == SETTINGS


def test_a_section_of_which_a_variable_is_set_is_there():
    said = settings({"ec2": {}}, ONEFLEET_CONSOLE__TITLE="Example").console
    assert said == ConsoleSettings("/console/", "Example", (), 12, has_sign_up=False)
    assert settings({}, ONEFLEET_ZEROSIX__PATH="/shop/").zerosix is not None


# --- tables and lists


def test_a_table_can_be_said_whole_and_its_keys_over_it():
    said = settings(
        {"ec2": {}, "server": {"tls": {"certificate": "a"}}},
        ONEFLEET_SERVER__TLS='{ certificate = "b", key = "c" }',
        ONEFLEET_SERVER__TLS__KEY="d",
    )
    assert said.server.tls == config.TlsSettings(HERE / "b", HERE / "d")


def test_a_list_can_be_said_whole_and_its_elements_over_it():
    said = {"ONEFLEET_SERVER__TRUSTED_PROXIES": '["::1", "::2"]', "ONEFLEET_SERVER__TRUSTED_PROXIES__1": "::3"}
    assert values(**said)["server.trusted_proxies"] == ["::1", "::3"]
    assert origins(**said)["server.trusted_proxies"] == ", ".join(said)


def test_an_element_of_a_default_list_can_be_said():
    assert settings(ONEFLEET_ZEROSIX__RANKS__RAM__4="1tb").zerosix.ranks["ram"][-1] == "1tb"


def test_one_section_is_said_by_its_name_and_several_by_their_numbers():
    assert settings({"ec2": {}}, ONEFLEET_EC2__PATH="/one").ec2[0].path == "/one"
    several = settings({"ec2": [{}, {"path": "/two"}]}, ONEFLEET_EC2__1__PATH="/three").ec2
    assert [endpoint.path for endpoint in several] == ["/", "/three"]


def test_a_zone_that_the_file_gives_no_capacity_can_be_given_some():
    capacity = settings(ONEFLEET_PRODUCTS__0__CAPACITY__ORD1B="5").catalogue.products[0].capacity
    assert capacity == {"sgp1a": 16, "ord1b": 5}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("SERVER__LISEN", "unknown key; did you mean ONEFLEET_SERVER__LISTEN?"),
        ("SEVER__LISTEN", "unknown key; did you mean ONEFLEET_SERVER__LISTEN?"),
        ("PRODUCTS__0__CAPACITY__NOWHERE", "unknown key; known: ord1a, ord1b, ams1a, sgp1a"),
        ("COMPUTE__SIMULATED__BOT_SECONDS", "unknown key; did you mean ONEFLEET_COMPUTE__SIMULATED__BOOT_SECONDS?"),
        ("COMPUTE__QEMU__COLOUR", None),
        ("server__listen", None),
        ("SERVER__", None),
        ("__SERVER__LISTEN", None),
        ("SERVER__LISTEN__PORT", "server.listen has no keys of its own"),
        ("PRODUCTS__1__PRICE", "products is a list of 1, counted from 0; add more in the file"),
        ("PRODUCTS__00__PRICE", "products is a list of 1, counted from 0; add more in the file"),
        ("PRODUCTS__PRICE", "products is a list of 1, counted from 0; add more in the file"),
        ("EC2__0__PATH", "unknown key; known: path, host, dialect, region, strict"),
        (
            "CONSOLE__ISSUER__0",
            "console.issuer is a list of 0, counted from 0; set all of it: ONEFLEET_CONSOLE__ISSUER='[...]'",
        ),
        ("PRODUCTS__0__ATTRIBUTES__GEO", "follows from the zones in capacity; leave it out"),
    ],
)
def test_a_variable_that_no_key_has_is_refused(name, problem):
    [told] = problems(**{f"ONEFLEET_{name}": "1"})
    culprit, _, rest = told.partition(": ")
    assert culprit == f"ONEFLEET_{name}"
    assert rest == problem or (problem is None and rest.startswith("unknown key; "))


def test_each_variable_below_an_unknown_key_is_told():
    told = problems(ONEFLEET_NOWHERE__A="1", ONEFLEET_NOWHERE__B__C="2")
    assert [each.partition(":")[0] for each in told] == ["ONEFLEET_NOWHERE__A", "ONEFLEET_NOWHERE__B__C"]


def test_a_problem_within_a_value_is_told_by_its_variable():
    assert problems(ONEFLEET_SERVER__TLS='{ key = "a" }') == ["ONEFLEET_SERVER__TLS.certificate: is missing"]
    [problem] = problems(ONEFLEET_SERVER__TRUSTED_PROXIES='["::1", "x"]')
    assert problem.startswith("ONEFLEET_SERVER__TRUSTED_PROXIES[1]: 'x' is not ")


def test_what_does_not_go_together_is_told_by_the_variable():
    told = problems(ONEFLEET_ZONES__1__NAME="ord1a")
    assert "ONEFLEET_ZONES__1__NAME: 'ord1a' is taken by zones[0].name" in told


# --- credentials


def test_a_credential_is_a_file_in_the_folder_of_credentials():
    document = {"ec2": {}, "storage": {"key_file": "credential:fleet.key"}}
    assert settings(document, CREDENTIALS_DIRECTORY="/run/creds").storage.key_file == HERE.joinpath(
        "/run/creds/fleet.key"
    )


def test_a_command_looks_for_credentials_where_the_service_has_them():
    tls = settings({"ec2": {}, "server": {"tls": {"certificate": "a.pem", "key": "credential:tls.key"}}}).server.tls
    assert tls == config.TlsSettings(HERE / "a.pem", HERE.joinpath("/run/credentials/onefleet.service/tls.key"))


@pytest.mark.parametrize("name", ["", "..", "../key", ".key", "a/b", "a b"])
def test_a_credential_has_the_name_of_a_file(name):
    [problem] = problems({"ec2": {}, "storage": {"key_file": f"credential:{name}"}})
    assert problem == f"storage.key_file: 'credential:{name}' is not a credential, such as credential:onefleet.key"


@pytest.mark.parametrize(
    ("written", "file"),
    [("onefleet.key", HERE / "data/onefleet.key"), ("/run/secrets/k", HERE.joinpath("/run/secrets/k"))],
)
def test_the_key_file_lies_in_the_data_directory_unless_its_path_is_absolute(written, file):
    assert settings({"ec2": {}, "storage": {"key_file": written}}).storage.key_file == file


# --- anything at all

words = st.sampled_from(
    ["", "0", "1", "SERVER", "TLS", "EC2", "PRODUCTS", "CAPACITY", "ORD1A", "GEO", "ROUTED", "\n", "é"]
)
names = st.sampled_from([variable(key).removeprefix("ONEFLEET_") for key in ROWS]) | st.lists(
    words, min_size=2, max_size=4
).map("__".join)
texts = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "true",
        "nan",
        "1e400",
        "1979-05-27",
        "[]",
        "[[]]",
        "{}",
        "{ a = 1 }",
        '["x"]',
        "[" * 3000,
        "9" * 5000,
    ]
) | st.text(max_size=6)


def problems_if_any(environ):
    """What is refused, if anything; whatever else is raised is a fault."""
    try:
        config.parse(FULL, HERE, environ)
    except ConfigError as error:
        return error.problems
    return ()


@settings_of_hypothesis(max_examples=100)
@given(st.dictionaries(names.map("ONEFLEET_{}".format), texts, min_size=1, max_size=3))
def test_whatever_variables_hold_is_read_or_refused_line_by_line(environ):
    assert all(re.fullmatch(r"\S.*: .*", problem) for problem in problems_if_any(environ))
