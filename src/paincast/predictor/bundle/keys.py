"""Read keys of Ed25519 from PEM files: a private key that signs bundles, public keys that are trusted.

``openssl genpkey -algorithm ed25519 -out private.pem`` makes a private key, and ``openssl pkey -in private.pem -pubout
-out public.pem`` writes its public key. Several public keys may follow one another in a file.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from paincast.errors import DataError, SettingsError
from paincast.files.bounded import read_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "ed25519"
PEM_BYTES = 1_000_000
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]{1,2000}-----END PUBLIC KEY-----")
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----")
_HOW = "make one with: openssl genpkey -algorithm ed25519 -out private.pem"


@dataclass(frozen=True)
class SigningKey:
    """A private key.

    Parameters
    ----------
    name : str
        Its name: the first 16 digits of the SHA-256 of its public key.
    key : Ed25519PrivateKey
        The key.
    """

    name: str
    key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.name})"


@dataclass(frozen=True)
class TrustedKeys:
    """Public keys whose signatures are trusted.

    Parameters
    ----------
    keys : mapping of str to Ed25519PublicKey
        By name, as of :class:`SigningKey`.
    """

    keys: Mapping[str, Ed25519PublicKey]


def name_key(key: Ed25519PublicKey) -> str:
    """Name a public key by the first 16 digits of the SHA-256 of its DER form.

    ``openssl pkey -pubin -in public.pem -outform DER | sha256sum`` begins with the same digits.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def read_signing_key(path: str | Path) -> SigningKey:
    """Read a private key that nobody but its owner can read.

    Parameters
    ----------
    path : str or Path
        PEM file of an Ed25519 key without a passphrase.

    Raises
    ------
    SettingsError
        If the file cannot be read, others can read or change it, or it holds no such key. The message holds nothing of
        the file.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    file = Path(path)
    raw = _read(file, is_private=True)
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"{file} is not a private key of {ALGORITHM} in PEM without a passphrase; {_HOW}", code="PC-MODEL-41"
        )
    return SigningKey(name_key(key.public_key()), key)


def read_trusted_keys(source: str | Path | TrustedKeys) -> TrustedKeys:
    """Read public keys that are trusted.

    Parameters
    ----------
    source : str, Path or TrustedKeys
        PEM file with one or several public keys of Ed25519; keys that were read are returned as they are.

    Raises
    ------
    SettingsError
        If the file cannot be read, or holds anything but such keys.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if isinstance(source, TrustedKeys):
        return source
    file = Path(source)
    raw = _read(file, is_private=False)
    blocks = _PUBLIC.findall(raw)
    keys = {}
    for number, block in enumerate(blocks, 1):
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise SettingsError(f"{file}: key {number} is not a public key of {ALGORITHM}", code="PC-MODEL-42")
        keys[name_key(key)] = key
    if not keys or len(blocks) != len(_BEGIN.findall(raw)):
        raise SettingsError(
            f"{file} must hold public keys of {ALGORITHM} in PEM and nothing else; write one with: openssl pkey -in "
            "private.pem -pubout -out public.pem",
            code="PC-MODEL-43",
        )
    return TrustedKeys(MappingProxyType(keys))


def _read(file: Path, *, is_private: bool) -> bytes:
    try:
        if is_private and os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise SettingsError(
                f"others can read or change the private key {file}; close it to them with: chmod 600 {file}",
                code="PC-MODEL-44",
            )
        return read_bytes(file, PEM_BYTES)
    except (DataError, OSError) as error:
        reason = "it does not exist" if isinstance(error, FileNotFoundError) else "it is no file that can be read"
        raise SettingsError(f"the key {file} cannot be read: {reason}", code="PC-MODEL-45") from None
