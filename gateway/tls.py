"""TLS with a certificate that can be replaced while the gateway runs."""

import ssl
from datetime import datetime
from pathlib import Path

from gateway.config import TlsSettings
from gateway.credentials import advice_on_missing
from gateway.trouble import Trouble


class UnusableCertificate(Trouble):
    """The certificate and its key cannot be used; the text says which and why."""


class Tls:
    """What the listening sockets show to clients. `context` is theirs for good, whatever the certificate."""

    def __init__(self, settings: TlsSettings) -> None:
        self.context = self._current = load_certificate(settings)
        self.context.sni_callback = self._greet

    def use(self, loaded: ssl.SSLContext) -> None:
        """Show the certificate of what `load_certificate` has returned to whoever connects from now on."""
        self._current = loaded

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # OpenSSL asks at every greeting, also of a client that names no host, before it chooses the certificate.
        connection.context = self._current


def load_certificate(settings: TlsSettings) -> ssl.SSLContext:
    """Return a context with the certificate and key that the files hold now.

    Raises:
        UnusableCertificate: they cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    for name, file in (("certificate", settings.certificate), ("key", settings.key)):
        try:
            file.open("rb").close()
        except OSError as error:
            missing = advice_on_missing(file) if isinstance(error, FileNotFoundError) else ""
            raise UnusableCertificate(f"server.tls.{name}: {file}: {missing or error.strerror}") from error
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise UnusableCertificate(
            f"server.tls: {settings.certificate} and {settings.key} are not a PEM certificate chain and its unencrypted"
            f" key: {error}"
        ) from error
    return context


def expiry_of(certificate: Path) -> datetime:
    """Return when the first certificate of a chain in a file expires.

    Raises:
        OSError, ValueError: there is none.
    """
    from cryptography import x509  # noqa: PLC0415  it takes a while to import, and many gateways have no certificate

    return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(certificate.read_bytes()))
