"""Files of a bundle: checksums that name what changed, and nothing that can be read from elsewhere or without end."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.errors import DataError
from paincast.predictor import load_predictor, save_predictor
from paincast.predictor.bundle import CHECKSUMS
from paincast.predictor.bundle.schema import make_bundle_schema
from paincast.predictor.validation import make_validations_schema

from .released import copy_bundle, load_or_refuse, unpack

ROOT = Path(__file__).resolve().parents[2]
LINEAR, TREES = "prior/facet_rfa/pain_response", "prior_trees/facet_rfa/pain_response"
SECRET = "Zq7-sentinel"


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    return unpack(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def saved(released, tmp_path_factory) -> Path:
    """A model of trees as it is saved today."""
    return save_predictor(load_predictor(released / TREES), tmp_path_factory.mktemp("saved") / "bundle")


def refuse(folder: Path) -> DataError:
    with pytest.raises(DataError) as error:
        load_predictor(folder)
    assert error.value.code
    assert SECRET not in str(error.value)
    return error.value


def test_the_checksums_are_those_of_sha256sum_and_of_every_file(saved):
    lines = (saved / CHECKSUMS).read_text().splitlines()
    expected = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in sorted(saved.iterdir())]
    assert lines == [line for line in expected if not line.endswith(CHECKSUMS)]
    assert len(lines) == 12
    if shutil.which("sha256sum"):
        checked = subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=saved, check=False)
        assert checked.returncode == 0


def test_a_saved_bundle_keeps_version_and_bytes_of_the_boosters(released, saved):
    assert load_predictor(saved).version == load_predictor(released / TREES).version
    for file in saved.glob("*.ubj"):
        assert file.read_bytes() == (released / TREES / file.name).read_bytes()
    assert json.loads((saved / "bundle.json").read_text()) == json.loads((released / TREES / "bundle.json").read_text())


@pytest.mark.parametrize("name", ["bundle.json", "booster.ubj", "refit-007.ubj"])
def test_a_changed_or_missing_file_is_named(saved, tmp_path, name):
    folder = copy_bundle(saved, tmp_path / "bundle")
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[:-1])
    error = refuse(folder)
    assert (error.code, name in str(error)) == ("PC-MODEL-34", True)
    (folder / name).unlink()
    error = refuse(folder)
    assert error.code == ("PC-MODEL-16" if name == "bundle.json" else "PC-MODEL-32")
    assert name in str(error)


def test_without_checksums_as_in_earlier_bundles_a_missing_booster_is_named(released, tmp_path):
    folder = copy_bundle(released / TREES, tmp_path / "bundle")
    (folder / "refit-003.ubj").unlink()
    error = refuse(folder)
    assert (error.code, "refit-003.ubj" in str(error)) == ("PC-MODEL-38", True)


def test_what_stands_beside_a_bundle_is_no_part_of_it(saved, tmp_path):
    folder = copy_bundle(saved, tmp_path / "bundle")
    (folder / "notes.txt").write_text("looked at, M. R.")
    (folder / "refit-999.ubj").write_bytes(b"not in the list")
    assert load_predictor(folder).version == load_predictor(saved).version


DIGEST = "0" * 64
LISTS = {
    "empty": "",
    "another folder": f"{DIGEST}  ../bundle.json\n",
    "absolute": f"{DIGEST}  /etc/hostname\n",
    "backslash": f"{DIGEST}  ..\\bundle.json\n",
    "another file": f"{DIGEST}  bundle.json\n{DIGEST}  {SECRET}.json\n",
    "twice": f"{DIGEST}  bundle.json\n{DIGEST}  bundle.json\n",
    "short digest": "abc  bundle.json\n",
    "no manifest": f"{DIGEST}  booster.ubj\n",
    "bytes": "\udcff\udcfe",
    "long": f"{DIGEST}  bundle.json\n" + "x" * 150_000,
}


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
def test_a_list_of_checksums_names_files_of_the_bundle_and_no_others(saved, tmp_path, content):
    folder = copy_bundle(saved, tmp_path / "bundle")
    (folder / CHECKSUMS).write_text(content, errors="surrogateescape")
    assert refuse(folder).code == "PC-MODEL-35"


@pytest.mark.skipif(os.name != "posix", reason="special files of POSIX")
@pytest.mark.parametrize("name", ["bundle.json", "booster.ubj", CHECKSUMS])
@pytest.mark.parametrize("kind", ["device", "loop", "folder", "pipe", "nowhere"])
def test_special_files_are_refused_at_once(saved, tmp_path, name, kind):
    folder = copy_bundle(saved, tmp_path / "bundle")
    file = folder / name
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to({"device": "/dev/zero", "loop": name, "nowhere": "nowhere"}[kind])
    refuse(folder)


def test_files_that_are_links_count_by_their_content(saved, tmp_path):
    """As tools that keep data in a cache put them into a working folder."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).symlink_to(file)
    assert load_predictor(folder).version == load_predictor(saved).version


ODD = {
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000,
    "closed deep": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    "a list": b"[]",
    "text": b'"' + SECRET.encode() + b'"',
    "nothing": b"",
    "not UTF-8": b'{"format": 2, "a": "\xff\xfe"}',
    "another encoding": '{"format": 2}'.encode("utf-16"),
    "many digits": b'{"format": ' + b"9" * 5_000 + b"}",
    "huge": b'{"format": 1e999}',
    "NaN": b'{"format": NaN}',
    "true": b'{"format": true}',
    "keys": b'{"format": 2, "' + SECRET.encode() + b'": 1}',
    "many values": b'{"format": 2, "a": [' + b"1," * 5_000_001 + b"1]}",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_odd_json_is_refused_by_a_code(tmp_path, content):
    (tmp_path / "bundle.json").write_bytes(content)
    assert refuse(tmp_path).code in {"PC-FILES-14", "PC-FILES-15", "PC-FILES-61", "PC-MODEL-17", "PC-MODEL-36"}


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_changed_or_end_early_are_refused(released, tmp_path, data):
    original = released / data.draw(st.sampled_from([LINEAR, TREES]))
    folder = copy_bundle(original, tmp_path / "bundle")
    file = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    raw = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw = raw[:place]
    else:
        raw[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place]))
    file.write_bytes(raw)
    loaded, error = load_or_refuse(folder)
    if loaded is None:
        assert error.code
    else:  # white space between values of JSON is no content
        assert json.loads(raw) == json.loads((original / "bundle.json").read_bytes())
        assert loaded.version == load_predictor(released / LINEAR).version


@pytest.mark.parametrize(
    ("name", "made"), [("bundle", make_bundle_schema()), ("validations", make_validations_schema())]
)
def test_the_published_schema_is_that_of_the_reader(name, made):
    assert json.loads((ROOT / "docs" / f"{name}.schema.json").read_text()) == made
