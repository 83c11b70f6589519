"""The certificates that are accepted: those of the system's authorities, or of the authorities in
the file that ``SSL_CERT_FILE`` names.
"""

import os
import ssl

from bench.errors import NotServing

FILE = "SSL_CERT_FILE"
"""An environment variable that OpenSSL, and so everything that uses OpenSSL, knows."""
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})
"""OpenSSL's codes for self-signed certificates and for issuers that are not known here."""


def trusted_authorities() -> ssl.SSLContext:
    """For client connections. Raises NotServing when the file cannot be used, which OpenSSL would
    not report.
    """
    context = ssl.create_default_context()
    file = os.environ.get(FILE)
    if file:
        try:
            context.load_verify_locations(file)
        except OSError as error:
            raise NotServing(f"{FILE} is {file}: {error.strerror or error}") from error
    return context


def unverified(host: str, error: ssl.SSLCertVerificationError) -> NotServing:
    """States what is wrong with a certificate, and what to do."""
    what = f"the certificate of {host} cannot be verified: {error.verify_message}"
    if error.verify_code in _UNKNOWN_ISSUER:
        what += f"; if its authority is your own, name the authority's file in {FILE}"
    return NotServing(what)
