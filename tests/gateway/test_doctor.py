import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway import doctor
from gateway.swap import PLAN_FILE
from tests.commandline import Onefleet

PARTS = ["config", "data", "key file", "database", "address", "tls", "driver", "disk", "clock", "ssh ports", "gateway"]


def grades(onefleet: Onefleet, part: str, code: int = 0) -> list[str]:
    return [each["grade"] for each in onefleet.json("doctor", code=code) if each["part"] == part]


def finding(onefleet: Onefleet, part: str, grade: str, code: int = 0) -> str:
    """Return what the doctor says of a part in this grade, and its advice."""
    [found] = [each for each in onefleet.json("doctor", code=code) if (each["part"], each["grade"]) == (part, grade)]
    assert found["advice"].endswith((".", "onefleet.db", str(onefleet.data)))
    return f"{found['text']} -> {found['advice']}"


def test_every_part_is_looked_at_and_nothing_is_changed(onefleet):
    found = onefleet.json("doctor")
    assert list(dict.fromkeys(each["part"] for each in found if each["part"] != "database")) == [
        part for part in PARTS if part != "database"
    ]
    assert {each["grade"] for each in found} <= {"ok", "warning"}
    assert not onefleet.data.exists()


def test_only_what_is_not_well_comes_with_advice(onefleet):
    for each in onefleet.json("doctor"):
        assert bool(each["advice"]) == (each["grade"] != "ok"), each


def test_a_problem_is_told_with_its_advice_below_it_and_exit_code_1(onefleet):
    onefleet("account", "add", "one")
    (onefleet.data / "onefleet.key").chmod(0o644)
    lines = onefleet("doctor", code=1).stdout.splitlines()
    [number] = [number for number, line in enumerate(lines) if line.startswith("PROBLEM  key file ")]
    assert lines[number + 1].strip().startswith("-> Put the right file back")


def test_a_damaged_database_is_found(onefleet):
    onefleet("account", "add", "one")
    with (onefleet.data / "onefleet.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 3 * 4096)
    assert "onefleet restore FILE" in finding(onefleet, "database", "problem", code=1)


def test_a_large_log_is_found(onefleet):
    onefleet("account", "add", "one")
    with (onefleet.data / "onefleet.db-wal").open("wb") as file:
        file.truncate(2 * 1024**3)
    assert "fuser" in finding(onefleet, "database", "warning")


def test_a_data_directory_that_is_open_to_others_is_found(onefleet):
    onefleet("account", "add", "one")
    onefleet.data.chmod(0o755)
    assert "chmod 700" in finding(onefleet, "data", "warning")


def test_an_interrupted_restore_is_found(onefleet):
    onefleet("account", "add", "one")
    (onefleet.data / PLAN_FILE).write_text("{}")
    assert "restore was interrupted" in finding(onefleet, "data", "warning")


# --- the disk and the time


@pytest.mark.parametrize(
    ("free_gib", "total_gib", "grade"),
    [(50, 100, "ok"), (4, 100, "warning"), (0.5, 1, "warning"), (0.05, 1, "PROBLEM")],
)
def test_a_full_disk_is_a_problem_and_a_filling_one_a_warning(tmp_path, free_gib, total_gib, grade):
    found = doctor.judge_disk(tmp_path, int(free_gib * 1024**3), int(total_gib * 1024**3))
    assert (found.grade, bool(found.advice)) == (grade, grade != "ok")


def test_a_clock_that_was_put_back_is_found(onefleet):
    account = onefleet.json("account", "add", "one")["account_id"]
    onefleet("key", "add", "--account", account)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with closing(sqlite3.connect(onefleet.data / "onefleet.db", isolation_level=None)) as db:
        db.execute("UPDATE api_keys SET created_at = ?", (int(tomorrow.timestamp() * 1_000_000),))
    assert f"{tomorrow:%Y-%m-%d}" in finding(onefleet, "clock", "problem", code=1)


def test_the_kernel_is_asked_whether_the_clock_is_kept_right():
    assert doctor.is_clock_synchronised() in (True, False)


# --- certificates


def certificate(
    name: str, issuer: "tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None" = None, *, days: tuple[int, int]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate for a name, good from the first to the second of the days from now, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made, key


def serve_with(onefleet: Onefleet, own: tuple, *others: tuple, public_url: str = "") -> None:
    """Configure the gateway to serve with a certificate of its own, followed by others in the file."""
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each, _ in (own, *others))
    secret = own[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = {"certificate": onefleet.folder / "cert.pem", "key": onefleet.folder / "key.pem"}
    files["certificate"].write_bytes(chain)
    files["key"].write_bytes(secret)
    tls = {name: str(file) for name, file in files.items()}
    onefleet.configure(server={"tls": tls, "public_url": public_url})


@pytest.mark.parametrize(
    ("days", "grade", "code"),
    [((-1, 90), "ok", 0), ((-80, 10), "warning", 0), ((-90, -1), "problem", 1), ((1, 90), "problem", 1)],
)
def test_a_certificate_is_judged_by_its_dates(onefleet, days, grade, code):
    serve_with(onefleet, certificate("cloud.example", days=days))
    assert grades(onefleet, "tls", code=code)[-1] == grade


def test_a_chain_in_the_wrong_order_is_found(onefleet):
    root = certificate("Root", days=(-1, 900))
    middle = certificate("Middle", root, days=(-1, 900))
    own = certificate("cloud.example", middle, days=(-1, 90))
    serve_with(onefleet, own, middle, root)
    assert "warning" not in grades(onefleet, "tls")
    serve_with(onefleet, own, root, middle)
    assert "warning" in grades(onefleet, "tls")


@pytest.mark.parametrize(
    ("name", "is_well"),
    [("cloud.example", True), ("*.example", True), ("other.example", False), ("*.cloud.example", False)],
)
def test_a_certificate_of_another_name_is_found(onefleet, name, is_well):
    serve_with(onefleet, certificate(name, days=(-1, 90)), public_url="https://cloud.example")
    assert ("warning" not in grades(onefleet, "tls")) == is_well


# --- ports and the gateway


def test_ports_of_machines_that_others_listen_on_are_found(onefleet):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        onefleet.configure(compute={"ssh_ports": f"{port}-{port}"})
        found = [each["text"] for each in onefleet.json("doctor") if each["part"] == "ssh ports"]
        assert f"somebody else listens on 1 of them: {port}" in found


def test_ports_that_the_kernel_lends_are_found(onefleet):
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    onefleet.configure(compute={"ssh_ports": f"{first - 1}-{first}"})
    assert f"lends 1 of {first - 1} to {first} to outgoing connections" in finding(onefleet, "ssh ports", "warning")


def test_the_running_gateway_is_asked_how_it_is(gateway):
    [found] = [each for each in gateway.cli_json("doctor") if each["part"] == "gateway"]
    assert found == {"part": "gateway", "grade": "ok", "text": f"pid {gateway.pid} runs and is ready", "advice": ""}


def test_a_gateway_that_cannot_write_its_database_is_a_problem(start_gateway):
    gateway = start_gateway()
    (gateway.data / "onefleet.db").rename(gateway.data / "moved.db")
    said = gateway.cli("doctor", code=1).stdout
    assert f"pid {gateway.pid} is not ready: store: the database cannot be written" in said


def test_a_gateway_that_does_not_answer_is_a_problem(start_gateway):
    gateway = start_gateway()
    (gateway.data / "control.sock").unlink()
    assert f"pid {gateway.pid} has the data directory and does not answer" in gateway.cli("doctor", code=1).stdout
