"""certificate.py FROM TO FOLDER: makes fullchain.pem and privkey.pem, good from and to so many days from now.

The certificate is for 127.0.0.1.
"""

import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

first, last, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now + timedelta(days=first))
    .not_valid_after(now + timedelta(days=last))
    .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    .sign(key, hashes.SHA256())
)
private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
(folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
(folder / "privkey.pem").write_bytes(private)
