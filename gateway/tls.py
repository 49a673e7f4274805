"""TLS from certificate files that are replaced while the gateway runs."""

import ssl

from gateway.config import TlsSettings
from gateway.trouble import Trouble


class UnusableCertificate(Trouble):
    """The certificate and its key cannot be used; the text says which and why."""


class Tls:
    """A context for the listening socket, with the certificate and key that the files held when last read."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self.context = _context()
        self._load(self.context)

    def reload(self) -> None:
        """Use what the files hold now for connections to come; those that are open go on as they are.

        Raises:
            UnusableCertificate: they hold nothing usable; the former certificate stays in use.
        """
        # Tried on another context first, because a failed load leaves a context with half of each.
        self._load(_context())
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._settings.certificate, self._settings.key
        for name, file in (("certificate", certificate), ("key", key)):
            try:
                file.open("rb").close()
            except OSError as error:
                raise UnusableCertificate(f"server.tls.{name}: {file}: {error.strerror}") from error
        try:
            context.load_cert_chain(certificate, key, password="")  # without one, OpenSSL would ask on the terminal
        except (ssl.SSLError, ValueError) as error:
            raise UnusableCertificate(
                f"server.tls: {certificate} and {key} are not a PEM certificate chain and its unencrypted key: {error}"
            ) from error


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    return context
