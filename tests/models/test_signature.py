"""Signed bundles: only what a trusted key signed, unchanged, is built; private keys are kept from others."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from paincast.errors import DataError, SettingsError
from paincast.predictor import load_predictor, save_predictor
from paincast.predictor.bundle import (
    CHECKSUMS,
    SIGNATURE,
    read_signing_key,
    read_trusted_keys,
    sign_bundle,
)

from .released import copy_bundle, unpack

LINEAR, TREES = "prior/facet_rfa/pain_response", "prior_trees/facet_rfa/pain_response"


def write_private(file: Path, key: object, encryption: KeySerializationEncryption | None = None) -> Path:
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))  # type: ignore[attr-defined]
    file.chmod(0o600)
    return file


def write_public(file: Path, *keys: Ed25519PrivateKey) -> Path:
    pems = [key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys]
    file.write_bytes(b"".join(pems))
    return file


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    return unpack(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """A folder with the keys of two people, and their public keys alone and together."""
    folder = tmp_path_factory.mktemp("keys")
    ours, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    write_private(folder / "ours.pem", ours)
    write_public(folder / "ours_public.pem", ours)
    write_public(folder / "other_public.pem", other)
    write_public(folder / "both_public.pem", other, ours)
    return folder


@pytest.fixture(params=[LINEAR, TREES])
def signed(request, released, keys, tmp_path) -> Path:
    """A model as it is saved today, signed."""
    folder = save_predictor(load_predictor(released / request.param), tmp_path / "bundle")
    sign_bundle(folder, read_signing_key(keys / "ours.pem"))
    return folder


def refuse(folder: Path, trusted: Path) -> DataError:
    with pytest.raises(DataError) as error:
        load_predictor(folder, trusted_keys=trusted)
    return error.value


def test_what_a_trusted_key_signed_is_loaded(signed, keys):
    version = load_predictor(signed).version
    for name in ("ours_public.pem", "both_public.pem"):
        assert load_predictor(signed, trusted_keys=keys / name).version == version
    assert load_predictor(signed, trusted_keys=read_trusted_keys(keys / "ours_public.pem")).version == version


def test_another_key_and_no_signature_are_refused_by_name(signed, keys):
    ours, other = (next(iter(read_trusted_keys(keys / f"{name}_public.pem").keys)) for name in ("ours", "other"))
    error = refuse(signed, keys / "other_public.pem")
    assert (error.code, ours in str(error), other in str(error)) == ("PC-MODEL-48", True, True)
    (signed / SIGNATURE).unlink()
    assert refuse(signed, keys / "ours_public.pem").code == "PC-MODEL-46"
    assert load_predictor(signed).version


def test_whoever_changes_a_file_and_all_hashes_is_found_out(signed, released, keys, tmp_path):
    other = save_predictor(load_predictor(released / "real/facet_rfa/pain_response"), tmp_path / "other")
    shutil.copy(signed / SIGNATURE, other)
    assert load_predictor(other).version
    assert refuse(other, keys / "ours_public.pem").code == "PC-MODEL-49"


@pytest.mark.parametrize("with_checksums", [True, False])
def test_each_file_of_the_bundle_is_signed(signed, keys, tmp_path, with_checksums):
    for name in [file.name for file in signed.iterdir() if file.name not in (SIGNATURE, CHECKSUMS)]:
        folder = copy_bundle(signed, tmp_path / "changed")
        if not with_checksums:
            (folder / CHECKSUMS).unlink()
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw + b" ")
        error = refuse(folder, keys / "ours_public.pem")
        assert error.code == ("PC-MODEL-34" if with_checksums else "PC-MODEL-49")


def test_a_bundle_of_an_earlier_version_is_signed_as_it_is(released, keys, tmp_path):
    folder = copy_bundle(released / TREES, tmp_path / "bundle")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    sign_bundle(folder, read_signing_key(keys / "ours.pem"))
    assert {file.name for file in folder.iterdir()} == {*before, SIGNATURE}
    assert load_predictor(folder, trusted_keys=keys / "ours_public.pem").version


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model_version": "0" * 12}, "PC-MODEL-49"),
        ({"signature": base64.b64encode(bytes(64)).decode()}, "PC-MODEL-49"),
        ({"signature": "short"}, "PC-MODEL-47"),
        ({"algorithm": "none"}, "PC-MODEL-47"),
        ({"format": 2}, "PC-MODEL-47"),
        ({"key": "0" * 16}, "PC-MODEL-48"),
        ({"key": "../ours"}, "PC-MODEL-47"),
        ({"more": 1}, "PC-MODEL-47"),
    ],
)
def test_a_signature_of_another_form_or_of_something_else_is_refused(signed, keys, change, code):
    content = json.loads((signed / SIGNATURE).read_text())
    (signed / SIGNATURE).write_text(json.dumps({**content, **change}))
    assert refuse(signed, keys / "ours_public.pem").code == code


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff\xfe", b"[" * 9_000, b" " * 20_000])
def test_a_file_that_is_no_signature_is_refused(signed, keys, raw):
    (signed / SIGNATURE).write_bytes(raw)
    assert refuse(signed, keys / "ours_public.pem").code.startswith("PC-FILES-")


def test_nothing_is_parsed_or_built_before_the_signature_is_checked(signed, keys, monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("read before its signature")

    for name in ("parse_json", "from_state", "hash_content", "restore_contract"):
        monkeypatch.setattr(f"paincast.predictor.bundle.loading.{name}", fail)
    assert refuse(signed, keys / "other_public.pem").code == "PC-MODEL-48"
    with pytest.raises(AssertionError, match="read before"):
        load_predictor(signed, trusted_keys=keys / "ours_public.pem")


def refuse_key(read: object, file: Path) -> SettingsError:
    with pytest.raises(SettingsError) as error:
        read(file)  # type: ignore[operator]
    assert len(str(error.value).splitlines()) == 1
    return error.value


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o666])
def test_a_private_key_that_others_can_read_or_change_is_refused(keys, tmp_path, mode):
    file = tmp_path / "key.pem"
    shutil.copy(keys / "ours.pem", file)
    file.chmod(mode)
    assert refuse_key(read_signing_key, file).code == "PC-MODEL-44"
    file.chmod(0o400)
    assert read_signing_key(file).name == read_signing_key(keys / "ours.pem").name


def test_a_file_that_is_no_private_key_of_this_kind_is_refused(keys, tmp_path):
    curve = write_private(tmp_path / "curve.pem", ec.generate_private_key(ec.SECP256R1()))
    closed = write_private(tmp_path / "closed.pem", Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret"))
    junk = tmp_path / "junk.pem"
    junk.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    public = shutil.copy(keys / "ours_public.pem", tmp_path / "public.pem")
    for file in (curve, closed, junk, Path(public)):
        file.chmod(0o600)
        assert refuse_key(read_signing_key, file).code == "PC-MODEL-41"
    for file in (tmp_path / "absent.pem", tmp_path):
        file.chmod(0o700) if file.exists() else None
        assert refuse_key(read_signing_key, file).code == "PC-MODEL-45"


def test_a_file_of_trusted_keys_holds_public_keys_and_nothing_else(keys, tmp_path):
    text = (keys / "ours_public.pem").read_text()
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    wrong = {
        "empty": ("", "PC-MODEL-43"),
        "junk": ("a key", "PC-MODEL-43"),
        "private": (text + (keys / "ours.pem").read_text(), "PC-MODEL-43"),
        "cut": (text + text[:60], "PC-MODEL-43"),
        "curve": (curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), "PC-MODEL-42"),
        "changed": (text.replace("MCow", "AAAA"), "PC-MODEL-42"),
    }
    for name, (content, code) in wrong.items():
        file = tmp_path / f"{name}.pem"
        file.write_text(content)
        assert refuse_key(read_trusted_keys, file).code == code, name
    assert refuse_key(read_trusted_keys, tmp_path / "absent.pem").code == "PC-MODEL-45"
    commented = tmp_path / "commented.pem"
    commented.write_text(f"# M. R., who reviews\n{text}")
    assert list(read_trusted_keys(commented).keys) == list(read_trusted_keys(keys / "ours_public.pem").keys)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_documented_commands_make_keys_that_are_taken(tmp_path):
    made = (
        "openssl genpkey -algorithm ed25519 -out private.pem",
        "openssl pkey -in private.pem -pubout -out public.pem",
        "openssl pkey -pubin -in public.pem -outform DER -out public.der",
    )
    for command in made:
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "private.pem").chmod(0o600)
    name = hashlib.sha256((tmp_path / "public.der").read_bytes()).hexdigest()[:16]
    assert read_signing_key(tmp_path / "private.pem").name == name
    assert list(read_trusted_keys(tmp_path / "public.pem").keys) == [name]
    page = (Path(__file__).resolve().parents[2] / "docs" / "review.md").read_text()
    assert all(command in page for command in made[:2])
