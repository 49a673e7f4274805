import asyncio
import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

TAGGED = [{"ResourceType": "key-pair", "Tags": [{"Key": "a", "Value": "b"}]}]
RSA = rsa.generate_private_key(65537, 2048).public_key()
SMALL = rsa.generate_private_key(65537, 1280).public_key()
ED25519 = ed25519.Ed25519PrivateKey.generate().public_key()
ECDSA = ec.generate_private_key(ec.SECP256R1()).public_key()
LINE = ED25519.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def keygen(*words: str, file: Path, content: str) -> str:
    """Return what ssh-keygen says about a key in a file."""
    file.write_text(content)
    file.chmod(0o600)
    done = subprocess.run(["ssh-keygen", *words, "-f", str(file)], capture_output=True, text=True, check=True)
    return done.stdout


def fingerprint_of(key) -> str:
    """Return the fingerprint that EC2 would give an imported public key."""
    if isinstance(key, rsa.RSAPublicKey):
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.md5(der).hexdigest()
    blob = base64.b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    return base64.b64encode(hashlib.sha256(blob).digest()).decode()


# --- made here


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_the_private_key_opens_what_the_public_one_closes(ours, tmp_path, kind):
    created = await ours.create_key_pair(KeyName="mine", KeyType=kind)
    (described,) = (await ours.describe_key_pairs(IncludePublicKey=True))["KeyPairs"]
    derived = keygen("-y", file=tmp_path / "key", content=created["KeyMaterial"])
    assert derived.split()[:2] == described["PublicKey"].split()[:2]


async def test_an_rsa_key_made_here_is_named_by_the_sha1_of_its_pkcs8_der(ours):
    created = await ours.create_key_pair(KeyName="mine")
    key = serialization.load_pem_private_key(created["KeyMaterial"].encode(), None)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert created["KeyFingerprint"] == hashlib.sha1(der).digest().hex(":")
    assert key.key_size == 2048
    assert created["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")


async def test_an_ed25519_key_is_named_as_ssh_names_it_and_padded(ours, tmp_path):
    # AWS pads what ssh-keygen prints without. Sources: eksctl-io/eksctl#5151, ansible-collections/amazon.aws#2406.
    created = await ours.create_key_pair(KeyName="mine", KeyType="ed25519")
    told = keygen("-l", "-E", "sha256", file=tmp_path / "key", content=created["KeyMaterial"])
    assert f"SHA256:{created['KeyFingerprint']}" == told.split()[1] + "="


async def test_a_key_is_rsa_unless_it_is_to_be_another(ours):
    await ours.create_key_pair(KeyName="mine")
    await ours.create_key_pair(KeyName="other", KeyType="ed25519")
    kinds = [pair["KeyType"] for pair in (await ours.describe_key_pairs())["KeyPairs"]]
    assert kinds == ["rsa", "ed25519"]


async def test_a_private_key_is_not_kept(ours, tmp_path):
    created = await ours.create_key_pair(KeyName="mine", KeyType="ed25519")
    middle = created["KeyMaterial"].splitlines()[2].encode()
    assert (tmp_path / "onefleet.db").exists()
    assert not [file for file in tmp_path.iterdir() if middle in file.read_bytes()]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"KeyType": "dsa"}, "InvalidParameterValue"),
        ({"KeyFormat": "ppk"}, "UnsupportedOperation"),
        ({"KeyName": ""}, "InvalidParameterValue"),
        ({"KeyName": " "}, "InvalidParameterValue"),
        ({"KeyName": "a\nb"}, "InvalidParameterValue"),
        ({"KeyName": "x" * 256}, "InvalidParameterValue"),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
async def test_a_key_pair_that_makes_no_sense_is_not_made(ours, wanted, code):
    asked = {"KeyName": "mine", "KeyType": "ed25519"} | wanted
    assert (await ours.refusal("create_key_pair", **asked))[:2] == (400, code)
    assert (await ours.describe_key_pairs())["KeyPairs"] == []


# --- brought along


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@pytest.mark.parametrize("form", ["line", "line with a comment", "pem", "der", "base64 of der"])
async def test_a_public_key_is_taken_in_every_form(ours, key, form):
    line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    material = {
        "line": line,
        "line with a comment": line + b" me@home\n",
        "pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": der,
        "base64 of der": base64.b64encode(der),
    }[form]
    imported = await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=material)
    assert imported["KeyFingerprint"].replace(":", "") == fingerprint_of(key)
    (described,) = (await ours.describe_key_pairs(IncludePublicKey=True))["KeyPairs"]
    assert described["PublicKey"].split()[:2] == line.decode().split()[:2]
    assert {name: described[name] for name in ("KeyName", "KeyPairId", "KeyFingerprint")} == {
        name: imported[name] for name in ("KeyName", "KeyPairId", "KeyFingerprint")
    }


@pytest.mark.parametrize(
    "material",
    [
        b"",
        b"hello",
        b"ssh-rsa AAAA",
        b"ssh-rsa !",
        b"\xff" * 100,
        b"x" * 20_000,
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        SMALL.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        ECDSA.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    ],
)
async def test_what_is_no_usable_public_key_is_refused(ours, material):
    refusal = await ours.refusal("import_key_pair", KeyName="mine", PublicKeyMaterial=material)
    assert refusal[:2] == (400, "InvalidKey.Format")
    assert (await ours.describe_key_pairs())["KeyPairs"] == []


async def test_key_material_that_is_not_base64_is_refused(ec2):
    answer = await ec2.ask("ImportKeyPair", {"KeyName": "mine", "PublicKeyMaterial": "!"})
    assert (answer.status, answer.code) == (400, "InvalidParameterValue")


# --- both


async def test_a_name_is_taken_once(ours, theirs):
    await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)
    for attempt in (
        ours.refusal("create_key_pair", KeyName="mine", KeyType="ed25519"),
        ours.refusal("import_key_pair", KeyName="mine", PublicKeyMaterial=LINE),
    ):
        status, code, message = await attempt
        assert (status, code) == (400, "InvalidKeyPair.Duplicate")
        assert "'mine'" in message
    assert await theirs.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)


async def test_tags_given_with_a_key_pair_are_its_own(ours):
    created = await ours.create_key_pair(KeyName="made", KeyType="ed25519", TagSpecifications=TAGGED)
    imported = await ours.import_key_pair(KeyName="brought", PublicKeyMaterial=LINE, TagSpecifications=TAGGED)
    described = (await ours.describe_key_pairs())["KeyPairs"]
    assert [each["Tags"] for each in (created, imported, *described)] == [TAGGED[0]["Tags"]] * 4


async def test_key_pairs_are_found_by_name_and_by_id(ours):
    ids = [(await ours.import_key_pair(KeyName=name, PublicKeyMaterial=LINE))["KeyPairId"] for name in ("one", "two")]
    for asked in ({"KeyNames": ["two", "two"]}, {"KeyPairIds": [ids[1]]}, {"KeyNames": ["two"], "KeyPairIds": ids[1:]}):
        found = (await ours.describe_key_pairs(**asked))["KeyPairs"]
        assert [pair["KeyName"] for pair in found] == ["two"]
        assert "PublicKey" not in found[0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"KeyNames": ["mine", "a", "b"]}, "The key pairs 'a, b' do not exist"),
        ({"KeyPairIds": ["key-0123456789abcdef0"]}, "The key pair ID 'key-0123456789abcdef0' does not exist"),
    ],
)
async def test_key_pairs_that_do_not_exist_are_named(ours, asked, message):
    await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)
    assert await ours.refusal("describe_key_pairs", **asked) == (400, "InvalidKeyPair.NotFound", message)


async def test_boto3s_waiter_for_a_key_pair_ends_at_once(ours):
    await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)
    await ours.wait_until("key_pair_exists", KeyNames=["mine"])


@pytest.mark.parametrize("by", ["KeyName", "KeyPairId"])
async def test_a_deleted_key_pair_is_gone_with_its_tags_and_its_name_is_free(ours, by):
    pair = await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE, TagSpecifications=TAGGED)
    deleted = await ours.delete_key_pair(**{by: pair[by]})
    assert (deleted["Return"], deleted["KeyPairId"]) == (True, pair["KeyPairId"])
    assert (await ours.describe_key_pairs())["KeyPairs"] == []
    assert (await ours.describe_tags())["Tags"] == []
    again = await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)
    assert again["KeyPairId"] != pair["KeyPairId"]


async def test_deleting_a_key_pair_that_does_not_exist_succeeds(ours):
    assert (await ours.delete_key_pair(KeyName="no-such"))["Return"] is True
    assert (await ours.delete_key_pair(KeyPairId="key-0123456789abcdef0"))["Return"] is True


async def test_deleting_a_key_pair_five_times_at_once_succeeds_five_times(ec2, ours):
    await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)
    answers = await asyncio.gather(*(ec2.ask("DeleteKeyPair", {"KeyName": "mine"}) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}


async def test_deleting_a_key_pair_needs_a_name_or_an_id(ours):
    assert await ours.code("delete_key_pair") == "MissingParameter"


async def test_a_machine_keeps_the_key_that_it_was_booked_with(ours):
    await ours.import_key_pair(KeyName="mine", PublicKeyMaterial=LINE)
    await ours.run(KeyName="mine")
    await ours.delete_key_pair(KeyName="mine")
    assert (await ours.machine("1"))["KeyName"] == "mine"
