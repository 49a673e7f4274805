"""The configuration: what is read from it, and what is said about what is wrong with it."""

import re
from copy import deepcopy
from datetime import date
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.booking import PortRange
from core.catalogue import Gpu, ImageEntry, ProductEntry, RegionEntry, ZoneEntry
from core.compute.drivers import DRIVERS
from core.compute.site import ImageFiles, Site
from core.limits import Limits
from gateway import config
from gateway.catalogue import RANKS
from gateway.config import ConfigError, Ec2Settings, Endpoint, LogSettings, TlsSettings, ZeroSixSettings
from tests.running import REPOSITORY as ROOT
from tests.specimens import HERE, way, with_every_key

REGION = {"name": "ord1", "geo": "united-states"}
ZONE = {"name": "ord1a", "region": "ord1"}
IMAGE = {"name": "debian-12"}
PRODUCT = {
    "slug": "gcl.1",
    "title": "Cloud 1",
    "price": "0.25",
    "vcpus": 1,
    "memory_mib": 1024,
    "disk_gib": 30,
    "image": "debian-12",
    "attributes": {"cpu": "intel-i3"},
    "gpu": {"manufacturer": "NVIDIA", "name": "TITAN Xp", "count": 1, "memory_mib": 12288},
    "capacity": {"ord1a": 8},
}


def a_document(**changes):
    document = {
        "ec2": {},
        "zerosix": {},
        "regions": [REGION],
        "zones": [ZONE],
        "images": [IMAGE],
        "products": [PRODUCT],
    }
    return deepcopy({**document, **changes})


def a_document_with(path, value):
    """Set what a dotted path such as products[0].gpu.count leads to; its tables are made on the way."""
    document = a_document()
    place = document
    *steps, last = way(path)
    for step in steps:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    place[last] = value
    return document


def settings_with(path, value):
    return config.parse(a_document_with(path, value), HERE)


def problems_of(document):
    with pytest.raises(ConfigError) as caught:
        config.parse(document, HERE)
    assert str(caught.value).split("\n") == list(caught.value.problems)
    return list(caught.value.problems)


# --- what is read


def test_an_empty_front_end_section_is_enough():
    settings = config.parse({"ec2": {}}, HERE)
    assert settings.ec2 == (Ec2Settings(path="/", host="", dialect="aws", region="", is_strict=False),)
    assert settings.zerosix is None
    assert settings.catalogue.products == ()


def test_what_is_left_out_has_its_default():
    settings = config.parse({"zerosix": {}}, HERE)
    assert settings.ec2 == ()
    assert settings.zerosix == ZeroSixSettings("/wp-json/api/v1/", ZoneInfo("UTC"), RANKS)
    assert settings.server == config.ServerSettings(
        listen=Endpoint("127.0.0.1", 8080),
        public_url="",
        data_dir=HERE / "data",
        trusted_proxies=(),
        max_body_kib=1024,
        body_seconds=30,
        shutdown_seconds=10,
        tls=None,
    )
    assert settings.storage == config.StorageSettings(HERE / "data/onefleet.db", HERE / "data/onefleet.key")
    assert settings.compute == config.ComputeSettings(
        driver="simulated",
        driver_settings=DRIVERS["simulated"].read_settings({}),
        ports=PortRange(20000, 32767),
        ssh_host="127.0.0.1",
        sweep_seconds=30,
        launch_timeout_seconds=600,
        sample_seconds=60,
        orphans="report",
        relay_from=(),
    )
    assert settings.limits == config.LimitSettings(Limits(), 0.0, 1)
    assert settings.log == LogSettings("auto", "info")


def test_the_catalogue_is_read_in_the_order_of_the_file():
    catalogue = config.parse(a_document(regions=[REGION, {"name": "ams1", "geo": "europe"}]), HERE).catalogue
    assert catalogue.regions == (RegionEntry("ord1", "united-states"), RegionEntry("ams1", "europe"))
    assert catalogue.zones == (ZoneEntry("ord1a", "ord1", is_available=True),)
    assert catalogue.images == (ImageEntry("debian-12", "debian-12", "", "x86_64", "linux", "renter"),)
    assert catalogue.products == (
        ProductEntry(
            slug="gcl.1",
            title="Cloud 1",
            description="",
            instance_type="gcl.1",
            hourly_price=Decimal("0.25"),
            currency="USD",
            attributes={"cpu": "intel-i3"},
            vcpus=1,
            memory_mib=1024,
            disk_gib=30,
            gpu=Gpu("NVIDIA", "TITAN Xp", 1, 12288),
            architecture="x86_64",
            image="debian-12",
            capacity={"ord1a": 8},
        ),
    )


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("gateway.example:443", "gateway.example", 443),
    ],
)
def test_listen_is_a_host_and_a_port(written, host, port):
    listen = settings_with("server.listen", written).server.listen
    assert listen == Endpoint(host, port)
    assert str(listen) == written


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ""),
        ("https://cloud.example", "https://cloud.example"),
        ("HTTPS://Cloud.Example/", "https://cloud.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_public_url_is_an_origin(written, read):
    assert settings_with("server.public_url", written).server.public_url == read


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:fleet.db", "/etc/onefleet/data/fleet.db"),
        ("sqlite:/srv/fleet.db", "/srv/fleet.db"),
        ("sqlite:///fleet.db", "/etc/onefleet/data/fleet.db"),
        ("sqlite:////srv/fleet.db", "/srv/fleet.db"),
    ],
)
def test_the_database_is_in_the_data_folder_unless_its_path_is_absolute(url, path):
    assert settings_with("storage.url", url).storage.path == Path(path)


def test_an_absolute_data_folder_is_taken_as_it_is():
    assert settings_with("server.data_dir", "/srv/onefleet").server.data_dir == Path("/srv/onefleet")


def test_tls_files_are_beside_the_configuration():
    tls = settings_with("server.tls", {"certificate": "tls/chain.pem", "key": "/srv/key.pem"}).server.tls
    assert tls == TlsSettings(HERE / "tls/chain.pem", Path("/srv/key.pem"))


def test_trusted_proxies_are_networks_or_single_addresses():
    proxies = settings_with("server.trusted_proxies", ["10.0.0.0/8", "::1"]).server.trusted_proxies
    assert proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("written", "price"), [("0.25", "0.25"), ("1000", "1000"), (2, "2"), (0.1, "0.1"), (0.000001, None), ("0", "0")]
)
def test_a_price_is_the_digits_that_were_written(written, price):
    document = a_document_with("products[0].price", written)
    if price is None:  # Python writes it as 1e-06
        assert problems_of(document) == ["products[0].price: 1e-06 is not a decimal number such as 0.25"]
    else:
        assert config.parse(document, HERE).catalogue.products[0].hourly_price == Decimal(price)


def test_a_path_of_zerosix_gets_its_slash():
    assert settings_with("zerosix.path", "/shop").zerosix.path == "/shop/"


def test_ec2_starts_in_the_first_region_unless_told_otherwise():
    regions = [REGION, {"name": "ams1", "geo": "europe"}]
    assert config.parse(a_document(regions=regions), HERE).ec2[0].region == "ord1"
    assert config.parse(a_document(regions=regions, ec2={"region": ""}), HERE).ec2[0].region == "ord1"
    assert config.parse(a_document(regions=regions, ec2={"region": "ams1"}), HERE).ec2[0].region == "ams1"


def test_a_list_of_ranks_replaces_the_default_one():
    settings = config.parse(
        a_document(zerosix={"ranks": {"cpu": ["intel-i3", "epyc-9654"]}}),
        HERE,
    )
    assert settings.zerosix.ranks == {**RANKS, "cpu": ("intel-i3", "epyc-9654")}


def test_without_zerosix_attributes_are_held_against_no_ranks():
    document = a_document_with("products[0].attributes.cpu", "epyc-9654")
    del document["zerosix"]
    assert config.parse(document, HERE).catalogue.products[0].attributes == {"cpu": "epyc-9654"}


def image_files(**keys):
    settings = config.parse(a_document(images=[{**IMAGE, **keys}]), HERE)
    assert settings.site == Site(HERE / "data", "127.0.0.1", settings.image_files, on_sale=["debian-12"])
    return settings.image_files


def test_an_image_without_a_disk_is_sought_where_the_driver_keeps_images():
    assert image_files() == image_files(disk="", kernel="", initrd="", kernel_arguments="") == {}


def test_an_images_files_are_beside_the_configuration_and_need_not_exist():
    assert image_files(disk="images/debian.qcow2") == {"debian-12": ImageFiles(HERE / "images/debian.qcow2")}
    assert image_files(disk="/srv/debian.qcow2")["debian-12"].disk == Path("/srv/debian.qcow2")


def test_a_kernel_is_told_where_its_root_is_unless_the_configuration_says_what_it_is_told():
    files = {"disk": "disk.qcow2", "kernel": "vmlinuz", "initrd": "initrd"}
    default = "root=/dev/vda ro console=tty0 console=ttyS0"
    assert image_files(**files) == {
        "debian-12": ImageFiles(HERE / "disk.qcow2", HERE / "vmlinuz", HERE / "initrd", default)
    }
    assert image_files(**files, kernel_arguments="root=/dev/vda1")["debian-12"].kernel_arguments == "root=/dev/vda1"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"kernel": "vmlinuz"}, "kernel: is of no use without disk"),
        ({"disk": "disk.qcow2", "initrd": "initrd"}, "initrd: is of no use without kernel"),
        ({"disk": "disk.qcow2", "kernel_arguments": "ro"}, "kernel_arguments: is of no use without kernel"),
        ({"disk": 5}, "disk: 5 is not a text in quotes"),
        ({"disk": "disk.qcow2", "kernel": "a\nb"}, "kernel: 'a\\nb' is not one line of text"),
    ],
)
def test_files_of_an_image_that_make_no_sense_are_refused(keys, problem):
    assert problems_of(a_document(images=[{**IMAGE, **keys}])) == [f"images[0].{problem}"]


def test_the_driver_reads_its_own_table():
    settings = settings_with("compute.simulated", {"boot_seconds": 0.5})
    assert settings.compute.driver_settings == DRIVERS["simulated"].read_settings({"boot_seconds": 0.5})


# --- what is refused


def test_a_number_with_too_many_digits_to_write_out_is_refused():
    document = a_document_with("server.max_body_kib", 1 << 70000)
    assert problems_of(document) == ["server.max_body_kib: a huge number is not a whole number from 1 to 1048576"]


NAME = "is not a name of 1 to 64 letters, digits and . _ - that starts with a letter or digit"
PORT = "is not a whole number from 0 to 65535"
ENDPOINT = "is not a host and a port such as 127.0.0.1:8080 or [::1]:8080"
ORIGIN = "is not a scheme, a host and maybe a port, and no path, such as https://cloud.example"
PORTS = "is not a range of ports from 1 to 65535, such as 20000-32767"
FILE = "is not a file such as sqlite:onefleet.db or sqlite:/var/lib/onefleet/onefleet.db"
PRICE = "is not a decimal number such as 0.25"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        # wrong types
        ("server", 5, "5 is not a table"),
        ("server", [], "a list is not a table"),
        ("server.public_url", 5, "5 is not a text in quotes"),
        ("server.max_body_kib", "1024", "'1024' is not a whole number from 1 to 1048576"),
        ("server.max_body_kib", True, "true is not a whole number from 1 to 1048576"),
        ("server.max_body_kib", 1.5, "1.5 is not a whole number from 1 to 1048576"),
        ("server.body_seconds", 0, "0 is not a number of seconds from 0.01 to 3600"),
        ("server.shutdown_seconds", {}, "a table is not a number of seconds from 0 to 3600"),
        ("server.shutdown_seconds", float("nan"), "nan is not a number of seconds from 0 to 3600"),
        ("server.trusted_proxies", "::1", "'::1' is not a list; write [...], or [[...]] above each of several tables"),
        ("zones", ZONE, "a table is not a list; write [...], or [[...]] above each of several tables"),
        ("zones[0].available", "yes", "'yes' is not true or false"),
        ("images[0].title", date(2026, 1, 2), "2026-01-02 is not a text in quotes"),
        ("images[0].description", "\x07", "'\\x07' holds a control character"),
        ("images[0].title", " ", "' ' is not one line of text"),
        ("products[0].title", "a\nb", "'a\\nb' is not one line of text"),
        ("ec2.region", "x" * 70, f"there is no region {'x' * 60!r}...; known: ord1"),
        # unknown keys
        ("server.lisen", "127.0.0.1:8080", "unknown key; did you mean listen?"),
        ("log.colour", "red", "unknown key; known: format, level"),
        ("sever", {}, "unknown key; did you mean server?"),
        ("products[0].gpu.cuont", 1, "unknown key; did you mean count?"),
        # the network
        ("server.listen", ":8080", f"':8080' {ENDPOINT}"),
        ("server.listen", "127.0.0.1", f"'127.0.0.1' {ENDPOINT}"),
        ("server.listen", "127.0.0.1:99999", f"'127.0.0.1:99999': 99999 {PORT}"),
        ("server.listen", "300.0.0.1:80", "'300.0.0.1:80': '300.0.0.1' is not a host name or an address"),
        ("server.listen", "[::x]:80", f"'[::x]:80' {ENDPOINT}"),
        ("server.listen", "[::1::]:80", "'[::1::]:80': '::1::' is not a host name or an address"),
        ("server.public_url", "https://cloud.example/api", f"'https://cloud.example/api' {ORIGIN}"),
        ("server.public_url", "ftp://cloud.example", f"'ftp://cloud.example' {ORIGIN}"),
        ("server.public_url", "https://x:70000", f"'https://x:70000': 70000 {PORT}"),
        ("compute.ssh_host", "a b", "'a b' is not a host name or an address"),
        ("compute.ssh_ports", "39999-20000", f"'39999-20000' {PORTS}"),
        ("compute.ssh_ports", "0-10", f"'0-10' {PORTS}"),
        ("compute.ssh_ports", "20000", f"'20000' {PORTS}"),
        # where things are
        ("storage.url", "mysql://db/fleet", "unknown scheme 'mysql'; use sqlite"),
        ("storage.url", "sqlite:", f"'sqlite:' {FILE}"),
        ("storage.url", "sqlite::memory:", f"'sqlite::memory:' {FILE}"),
        ("storage.url", "sqlite://host/fleet.db", f"'sqlite://host/fleet.db' {FILE}"),
        ("storage.url", "sqlite:fleet.db?mode=ro", f"'sqlite:fleet.db?mode=ro' {FILE}"),
        ("ec2.path", "ec2", "'ec2' is not a path such as /api/v1/"),
        ("ec2.path", "/a/../b", "'/a/../b' is not a path such as /api/v1/"),
        ("ec2.path", "/healthz", "'/healthz' is the gateway's own; choose another"),
        ("zerosix.path", "/console/api", "'/console/api' is the gateway's own; choose another"),
        (
            "ec2.path",
            "/wp-json/api/v1",
            "'/wp-json/api/v1' lies within zerosix.path, which is '/wp-json/api/v1/'",
        ),
        # words
        ("compute.driver", "qemv", "there is no driver 'qemv'; known: simulated, qemu"),
        ("compute.orphans", "keep", "'keep' is not one of report, remove"),
        ("ec2.dialect", "azure", "'azure' is not one of aws, gigenet"),
        ("ec2.host", "a b", "'a b' is not a host name or an address"),
        ("ec2.strict", 1, "1 is not true or false"),
        ("limits.machines", -1, "-1 is not a whole number from 0 to 1000000000"),
        ("limits.requests_per_second", -0.5, "-0.5 is not a number from 0 to 1000000"),
        ("limits.burst", 0, "0 is not a whole number from 1 to 1000000000"),
        ("ec2.region", "ams1", "there is no region 'ams1'; known: ord1"),
        ("zerosix.timezone", "Mars/Base", "'Mars/Base' is not a time zone such as UTC or Europe/Berlin"),
        ("zerosix.timezone", "../etc", "'../etc' is not a time zone such as UTC or Europe/Berlin"),
        ("log.format", "xml", "'xml' is not one of auto, json, console"),
        ("log.level", "loud", "'loud' is not one of debug, info, warning, error"),
        ("regions[0].geo", "africa", "'africa' is not one of asia-pacific, australia, europe, united-states"),
        ("images[0].architecture", "vax", "'vax' is not one of x86_64, arm64, i386"),
        ("images[0].platform", "beos", "'beos' is not one of linux, windows"),
        # the catalogue
        ("images[0].default_user", "a b", f"'a b' {NAME}"),
        ("products[0].instance_type", "-x", f"'-x' {NAME}"),
        ("products[0].slug", "x" * 65, f"{'x' * 60!r}... {NAME}"),
        ("products[0].price", "abc", f"'abc' {PRICE}"),
        ("products[0].price", float("inf"), f"inf {PRICE}"),
        ("products[0].price", True, f"true {PRICE}"),
        ("products[0].price", "-0.25", "'-0.25' is below zero"),
        ("products[0].price", -1, "-1 is below zero"),
        ("products[0].price", "0.1234567", "'0.1234567' has more than 6 decimals"),
        ("products[0].currency", "usd", "'usd' is not a currency code such as USD"),
        ("products[0].vcpus", 0, "0 is not a whole number from 1 to 1000000000"),
        ("products[0].capacity.ord1a", -1, "-1 is not a whole number from 0 to 1000000000"),
        ("products[0].image", "debian-11", "there is no image 'debian-11'; known: debian-12"),
        ("products[0].attributes.geo", "europe", "follows from the zones in capacity; leave it out"),
        (
            "products[0].attributes.ram",
            "9gb",
            "'9gb' is not one of 8gb, 12gb, 16gb, 32gb, 192gb",
        ),
        ("products[0].capacity.ord1b", 1, "there is no zone 'ord1b'; known: ord1a"),
        ("zones[0].region", "ord2", "there is no region 'ord2'; known: ord1"),
    ],
)
def test_a_wrong_value_is_told_with_its_path(path, value, problem):
    assert f"{path}: {problem}" in problems_of(a_document_with(path, value))


@pytest.mark.parametrize(
    ("section", "table", "key"),
    [
        ("regions[0]", REGION, "name"),
        ("regions[0]", REGION, "geo"),
        ("zones[0]", ZONE, "name"),
        ("zones[0]", ZONE, "region"),
        ("images[0]", IMAGE, "name"),
        *(
            ("products[0]", PRODUCT, key)
            for key in ("slug", "title", "price", "vcpus", "memory_mib", "disk_gib", "image")
        ),
        *(("products[0].gpu", PRODUCT["gpu"], key) for key in PRODUCT["gpu"]),
        ("server.tls", {"certificate": "chain.pem", "key": "key.pem"}, "certificate"),
        ("server.tls", {"certificate": "chain.pem", "key": "key.pem"}, "key"),
    ],
)
def test_a_key_that_must_be_there_is_missed(section, table, key):
    rest = {name: value for name, value in table.items() if name != key}
    assert f"{section}.{key}: is missing" in problems_of(a_document_with(section, rest))


def test_an_element_of_a_list_is_told_with_its_index():
    document = a_document_with("server.trusted_proxies", ["::1", "10.0.0.1/8", 5])
    assert problems_of(document) == [
        "server.trusted_proxies[1]: '10.0.0.1/8' is not an address or a CIDR such as 203.0.113.0/24",
        "server.trusted_proxies[2]: 5 is not a text in quotes",
    ]


def test_a_product_needs_an_image_of_its_own_architecture():
    document = a_document_with("products[0].architecture", "arm64")
    assert problems_of(document) == ["products[0].image: 'debian-12' is for x86_64, the product is arm64"]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("regions[1]", REGION, "regions[1].name: 'ord1' is taken by regions[0].name"),
        ("zones[1]", ZONE, "zones[1].name: 'ord1a' is taken by zones[0].name"),
        ("images[1]", IMAGE, "images[1].name: 'debian-12' is taken by images[0].name"),
        (
            "products[1]",
            {**PRODUCT, "instance_type": "gcl.2"},
            "products[1].slug: 'gcl.1' is taken by products[0].slug",
        ),
        (
            "products[1]",
            {**PRODUCT, "slug": "gcl.2", "instance_type": "gcl.1"},
            "products[1].instance_type: 'gcl.1' is taken by products[0].instance_type",
        ),
    ],
)
def test_a_name_is_given_once(path, value, problem):
    section = path.removesuffix("[1]")
    document = a_document()
    document[section].append(value)
    assert problems_of(document) == [problem]


def test_a_word_has_one_rank():
    document = a_document_with("zerosix.ranks", {"gpu": ["nvidia-a100", "nvidia-h100", "nvidia-a100"]})
    assert problems_of(document) == ["zerosix.ranks.gpu[2]: 'nvidia-a100' is taken by zerosix.ranks.gpu[0]"]


def test_what_the_driver_refuses_is_told_with_its_path():
    (problem,) = problems_of(a_document_with("compute.simulated", {"boot_seconds": "long"}))
    assert problem.startswith("compute.simulated.boot_seconds: 'long' is not ")


def test_a_problem_takes_one_line_whatever_is_in_it():
    (problem,) = problems_of(a_document_with("compute.simulated", {"boot\nseconds": 1}))
    assert problem.startswith("compute.simulated.'boot\\nseconds': unknown key; ")


def test_a_gateway_without_front_ends_is_refused():
    assert problems_of({}) == [
        "ec2: neither [ec2] nor [zerosix] is in the file, so nothing would be served; add one or both"
    ]


def test_a_front_end_that_is_no_table_is_the_only_problem():
    assert problems_of({"ec2": True}) == ["ec2: true is not a table"]


def test_all_problems_are_told_together():
    document = a_document(regions=[{"name": "ord 1", "geo": "europe"}], server={"listen": 80, "lisen": ":80"})
    assert problems_of(document) == [
        "server.listen: 80 is not a text in quotes",
        "server.lisen: unknown key; did you mean listen?",
        f"regions[0].name: 'ord 1' {NAME}",
        "zones[0].region: there is no region 'ord1'; known: none",
    ]


def test_an_unknown_key_that_needs_quotes_is_told_in_quotes():
    assert "log.'a b\\n': unknown key; known: format, level" in problems_of(a_document_with("log", {"a b\n": 1}))


# --- files


def test_a_missing_file_says_how_to_make_one(tmp_path):
    file = tmp_path / "config.toml"
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: there is no such file. `")
    assert said.endswith(" init DIR` makes a folder with one; or name another by --config FILE or $ONEFLEET_CONFIG.")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[ec2]\npath = \n", "not valid TOML: Invalid value (at line 2, column 8)"),
        (b"[ec2]\n\n# \xff\n", "line 3 is not UTF-8"),
        (b"[ec2]\npath = " + b"1" * 5000, "not valid TOML: Exceeds the limit"),
        (b"[ec2]\npath = " + b"[" * 5000, "not valid TOML: maximum recursion depth"),
    ],
)
def test_a_file_that_is_not_toml_is_told_with_its_line(tmp_path, content, problem):
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: {problem}")):
        config.load(file)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}: cannot be read: Is a directory")):
        config.load(tmp_path)


def test_a_byte_order_mark_is_forgiven(tmp_path):
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbf[ec2]\r\n")
    assert config.load(file).ec2 is not None


def test_paths_start_from_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text("[ec2]\n")
    monkeypatch.chdir(tmp_path)
    assert config.load(None, {}).server.data_dir == tmp_path / "data"


def test_the_file_given_goes_before_the_variable_and_the_variable_before_the_working_folder():
    environ = {"ONEFLEET_CONFIG": "/etc/fleet.toml"}
    assert config.locate(Path("mine.toml"), environ) == Path("mine.toml")
    assert config.locate(None, environ) == Path("/etc/fleet.toml")
    assert config.locate(None, {}) == Path("config.toml")


# --- several endpoints, pools of addresses, limits


def test_several_endpoints_may_share_a_path_under_different_hosts():
    endpoints = [
        {"host": "EC2.example"},
        {"host": "gige.example", "dialect": "gigenet", "region": "ord1", "strict": True},
    ]
    assert config.parse(a_document(ec2=endpoints), HERE).ec2 == (
        Ec2Settings("/", "ec2.example", "aws", "ord1", is_strict=False),
        Ec2Settings("/", "gige.example", "gigenet", "ord1", is_strict=True),
    )


def test_endpoints_on_one_path_need_different_hosts():
    endpoints = [{}, {"path": "/other"}, {"dialect": "gigenet"}]
    problem = "ec2[2].path: ec2[0] answers on '/' already, under the same host"
    assert problems_of(a_document(ec2=endpoints)) == [problem]


def test_each_of_several_endpoints_is_judged():
    problem = "ec2[1].dialect: 'azure' is not one of aws, gigenet"
    assert problems_of(a_document(ec2=[{}, {"path": "/b", "dialect": "azure"}])) == [problem]


def test_addresses_are_told_in_their_one_spelling():
    zones = [{"name": "ord1a", "region": "ord1", "addresses": ["203.0.113.0/30", "198.51.100.7"]}]
    [zone] = config.parse(a_document(zones=zones), HERE).catalogue.zones
    assert zone.pool == ("203.0.113.0/30", "198.51.100.7/32")


@pytest.mark.parametrize("block", ["203.0.113.1/28", "2001:db8::/64", "somewhere", 7])
def test_what_is_no_block_of_ipv4_addresses_is_refused(block):
    zones = [{"name": "ord1a", "region": "ord1", "addresses": [block]}]
    [problem] = problems_of(a_document(zones=zones))
    assert problem.startswith("zones[0].addresses[0]: ")


def test_no_address_is_in_two_pools():
    zones = [
        {"name": "ord1a", "region": "ord1", "addresses": ["203.0.113.0/28"]},
        {"name": "ord1b", "region": "ord1", "addresses": ["203.0.113.5"]},
    ]
    problem = "zones[1].addresses[0]: '203.0.113.5/32' shares addresses with zones[0].addresses[0]"
    assert problems_of(a_document(zones=zones)) == [problem]


def test_a_product_that_its_own_image_does_not_fit_is_refused():
    images = [{"name": "debian-12", "min_memory_mib": 4096, "min_disk_gib": 500}]
    assert problems_of(a_document(images=images)) == [
        "products[0].memory_mib: 1024 is less than the 4096 of debian-12",
        "products[0].disk_gib: 30 is less than the 500 of debian-12",
    ]


def test_a_pace_allows_twice_as_many_requests_at_once_unless_told_otherwise():
    assert config.parse(a_document(limits={"requests_per_second": 2.5}), HERE).limits.burst == 6
    assert config.parse(a_document(limits={"requests_per_second": 2.5, "burst": 3}), HERE).limits.burst == 3


# --- anything at all

junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.dates(),
        st.sampled_from(["", "/", "::1", "sqlite:", "-1", "1e5", "[::]:0", "geo", "10.0.0.0/8", 1 << 200]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged_documents(draw):
    document = with_every_key()
    for _ in range(draw(st.integers(1, 3))):
        damage(draw, document)
    return document


def damage(draw, document):
    """Replace, remove or add something, somewhere below."""
    place, step = document, draw(st.sampled_from(sorted(document)))
    while isinstance(below := place[step], dict | list) and below and draw(st.integers(0, 3)):
        place, step = below, draw(st.sampled_from(sorted(below) if isinstance(below, dict) else range(len(below))))
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "add" if isinstance(place, dict):
            place[draw(st.text(max_size=8))] = draw(junk)
        case "add" | "replace":
            place[step] = draw(junk)
        case "remove":
            del place[step]


def problems_with(read):
    """What is refused, if anything; whatever else is raised is a fault."""
    try:
        read()
    except ConfigError as error:
        return error.problems
    return ()


@given(damaged_documents())
def test_a_damaged_document_is_read_or_refused_line_by_line(document):
    problems = problems_with(lambda: config.parse(document, HERE))
    assert all(re.fullmatch(r"\S.*: .*", problem) for problem in problems)


@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, data):
    content = bytearray((ROOT / "config.toml").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    file = tmp_path_factory.getbasetemp() / "damaged.toml"
    file.write_bytes(content)
    assert all(problems_with(lambda: config.load(file)))
