"""Certificates that nobody has signed but their own keys."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path, serial: int) -> dict[str, str]:
    """Write a certificate of 127.0.0.1 and its key into the folder; return their files, as `[server.tls]` has them."""
    files = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-set_serial", str(serial)]
    out = ["-keyout", files["key"], "-out", files["certificate"]]
    subprocess.run([*command.split(), *more, *out], check=True, capture_output=True)
    return files
