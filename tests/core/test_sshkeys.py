import base64
import subprocess
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidKeyMaterial
from core.keypairs import KeyKind
from core.sshkeys import generate, read_public

TAKEN = [("rsa", 2048), ("ed25519", "")]


def run(*command, given=b""):
    """Return what a program prints."""
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def fields_of(line):
    return line.split(" ")[:2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes keys with ssh-keygen; returns the private key's file. The public one is beside it."""
    folder = tmp_path_factory.mktemp("keys")

    def make(kind, bits=""):
        file = folder / f"{kind}{bits}"
        if not file.exists():
            size = ["-b", str(bits)] if bits else []
            run("ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "somebody@somewhere", "-f", str(file))
        return file

    return make


def public_of(file):
    return file.with_suffix(".pub").read_bytes()


def md5_of_der(file):
    """Return EC2's name of an imported RSA key, by OpenSSH and OpenSSL. Source: EC2 user guide, "key fingerprints"."""
    pem = run("ssh-keygen", "-e", "-m", "PKCS8", "-f", str(file.with_suffix(".pub")))
    der = run("openssl", "pkey", "-pubin", "-outform", "DER", given=pem)
    return digest_of(der, "-md5")


def digest_of(der, algorithm):
    return run("openssl", "dgst", algorithm, "-c", given=der).decode().split("= ")[1].strip()


def sha256_by_ssh_keygen(file):
    _, fingerprint, *_ = run("ssh-keygen", "-l", "-E", "sha256", "-f", str(file)).decode().split()
    return fingerprint.removeprefix("SHA256:")


# --- keys that customers made


@pytest.mark.parametrize("bits", [1024, 2048])
def test_an_imported_rsa_key_is_named_as_ec2_names_it(made, bits):
    key = read_public(public_of(made("rsa", bits)))
    assert (key.kind, key.fingerprint) == (KeyKind.RSA, md5_of_der(made("rsa", bits)))


def test_an_imported_ed25519_key_is_named_as_ssh_keygen_names_it(made):
    key = read_public(public_of(made("ed25519")))
    assert key.kind is KeyKind.ED25519
    assert key.fingerprint.rstrip("=") == sha256_by_ssh_keygen(made("ed25519"))


@pytest.mark.parametrize(("kind", "bits"), TAKEN)
def test_the_line_is_the_one_that_was_imported(made, kind, bits):
    line = public_of(made(kind, bits))
    assert read_public(line).line == line.decode().strip()


@pytest.mark.parametrize(("kind", "bits"), TAKEN)
def test_a_key_is_the_same_in_every_form(made, kind, bits):
    line = public_of(made(kind, bits))
    pem = run("openssl", "pkey", "-pubin", given=_pem_of(made(kind, bits)))
    der = run("openssl", "pkey", "-pubin", "-outform", "DER", given=pem)
    forms = [line, b" \n" + line + b"\n", pem, der, base64.b64encode(der), base64.encodebytes(der)]
    keys = [read_public(form) for form in forms]
    for one, other in pairwise(keys):
        assert (one.kind, one.fingerprint, fields_of(one.line)) == (
            other.kind,
            other.fingerprint,
            fields_of(other.line),
        )


def _pem_of(file):
    if file.name == "ed25519":
        blob = base64.b64decode(public_of(file).split()[1])
        der = bytes.fromhex("302a300506032b6570032100") + blob[-32:]  # RFC 8410, section 4
        return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"
    return run("ssh-keygen", "-e", "-m", "PKCS8", "-f", str(file.with_suffix(".pub")))


def test_an_rsa_key_in_the_older_pem_form_is_read(made):
    pem = run("ssh-keygen", "-e", "-m", "PEM", "-f", str(made("rsa", 2048).with_suffix(".pub")))
    assert b"BEGIN RSA PUBLIC KEY" in pem
    assert read_public(pem).fingerprint == md5_of_der(made("rsa", 2048))


def test_a_line_without_a_comment_stays_without(made):
    bare = b" ".join(public_of(made("ed25519")).split()[:2])
    assert read_public(bare).line == bare.decode()


@pytest.mark.parametrize("comment", [b"\x1b[31mred", b"two\nlines", b"a\r", "a\u2028b".encode(), b"\0"])
def test_a_comment_that_could_forge_a_line_is_dropped(made, comment):
    bare = b" ".join(public_of(made("ed25519")).split()[:2])
    line = read_public(bare + b" x" + comment + b"y").line
    assert line == bare.decode()


def test_no_second_line_comes_in_with_a_key(made):
    first, second = public_of(made("ed25519")), public_of(made("rsa", 2048))
    assert "\n" not in read_public(first + second).line
    assert fields_of(read_public(first + second).line) == fields_of(first.decode())


@pytest.mark.parametrize(("kind", "bits"), [("ecdsa", 256), ("ecdsa", 521)])
def test_other_kinds_of_keys_are_refused_by_name(made, kind, bits):
    with pytest.raises(InvalidKeyMaterial, match="only RSA and ED25519"):
        read_public(public_of(made(kind, bits)))


def test_rsa_keys_of_odd_sizes_are_refused_by_size(made):
    with pytest.raises(InvalidKeyMaterial, match="1536 bits"):
        read_public(public_of(made("rsa", 1536)))


# In the form that ssh-keygen -t ed25519-sk and -t dsa write, which need a device and an old version.
HARDWARE = (
    b"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAwb3L5OwfXsAkfmH3jd5Y4D9zFA1hVW0tQ3ZP5a1b0S"
    b"AAAABHNzaDo= token"
)
BLOB = (7).to_bytes(4, "big") + b"ssh-dss" + b"".join((1).to_bytes(4, "big") + b"\x05" for _ in range(4))
DSA = b"ssh-dss " + base64.b64encode(BLOB)


@pytest.mark.parametrize(
    "material",
    [
        b"",
        b" \n",
        b"ssh-rsa",
        b"ssh-rsa AAAA",
        b"ssh-rsa not-base64!",
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        b"-----BEGIN",
        b'command="rm -rf /" ssh-ed25519 AAAA',
        b"\xff\xfe\x00",
        HARDWARE,
        DSA,
        b"x" * (16 * 1024 + 1),
    ],
)
def test_what_is_no_usable_key_is_refused(material):
    with pytest.raises(InvalidKeyMaterial):
        read_public(material)


@pytest.mark.parametrize(("kind", "bits"), TAKEN)
def test_a_private_key_is_refused(made, kind, bits):
    with pytest.raises(InvalidKeyMaterial):
        read_public(made(kind, bits).read_bytes())


def test_a_certificate_is_refused(made, tmp_path):
    (tmp_path / "key.pub").write_bytes(public_of(made("ed25519")))
    run("ssh-keygen", "-q", "-s", str(made("rsa", 2048)), "-I", "id", "-n", "renter", str(tmp_path / "key.pub"))
    with pytest.raises(InvalidKeyMaterial, match="only RSA and ED25519"):
        read_public((tmp_path / "key-cert.pub").read_bytes())


@given(st.binary(max_size=200), st.sampled_from([b"", b"ssh-rsa ", b"ssh-ed25519 ", b"ecdsa-", b"-----BEGIN", b"0"]))
def test_no_material_is_a_fault_of_ours(material, beginning):
    with pytest.raises(InvalidKeyMaterial):
        read_public(beginning + material)


@given(st.data())
def test_no_damage_to_a_key_is_a_fault_of_ours(data):
    line = bytearray(generate(KeyKind.ED25519, "x").public.line.encode())
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidKeyMaterial):
        assert read_public(bytes(line)).kind is KeyKind.ED25519


# --- keys that we made


@pytest.fixture(scope="module", params=KeyKind)
def new(request):
    return generate(request.param, "a comment")


@pytest.fixture
def private_file(new, tmp_path):
    file = tmp_path / "private"
    file.write_text(new.private_pem)
    file.chmod(0o600)
    return file


def test_a_new_private_key_belongs_to_its_public_line(new, private_file):
    line = run("ssh-keygen", "-y", "-f", str(private_file)).decode().strip()
    assert fields_of(line) == fields_of(new.public.line)
    assert new.public.line.endswith(" a comment")


def test_a_new_key_is_named_as_ec2_names_it(new, private_file):
    if new.public.kind is KeyKind.RSA:
        # Source: EC2 user guide, "key fingerprints": the SHA-1 of the private key in PKCS #8.
        der = run("openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", str(private_file))
        assert new.public.fingerprint == digest_of(der, "-sha1")
    else:
        assert new.public.fingerprint.rstrip("=") == sha256_by_ssh_keygen(private_file)


def test_a_new_key_can_be_imported(new):
    read = read_public(new.public.line.encode())
    assert (read.kind, read.line) == (new.public.kind, new.public.line)


def test_new_rsa_keys_come_in_the_form_that_ec2s_do():
    assert generate(KeyKind.RSA, "").private_pem.startswith("-----BEGIN RSA PRIVATE KEY-----\n")


def test_no_two_new_keys_are_alike_and_none_shows_by_accident(new):
    assert generate(new.public.kind, "a comment").public.line != new.public.line
    assert "PRIVATE" not in repr(new)
