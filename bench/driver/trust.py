"""Whose certificates are believed: the system's authorities, or those in the file ``SSL_CERT_FILE``
names.
"""

import os
import ssl

from bench.targets.target import NotServing

FILE = "SSL_CERT_FILE"
"""Of the environment. OpenSSL knows it, and so does everything else that uses OpenSSL."""
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})
"""OpenSSL's numbers for those that sign themselves and those whose issuer is not known here."""


def trusting() -> ssl.SSLContext:
    """For connections to whoever is believed. Raises NotServing when the file cannot be used, of
    which OpenSSL says nothing.
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
    """Says what is wrong with a certificate, and what can be done."""
    what = f"the certificate of {host} cannot be verified: {error.verify_message}"
    if error.verify_code in _UNKNOWN_ISSUER:
        what += f"; if its authority is your own, name the authority's file in {FILE}"
    return NotServing(what)
