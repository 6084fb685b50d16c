"""What stands beside a bundle in MLflow: signature, invented patients, the wheel of the package."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from email.parser import BytesParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import mlflow
import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename
from packaging.version import Version

import paincast
from paincast.contract import BUILT_IN
from paincast.errors import OutputError
from paincast.predictor import SERVED_COLUMNS
from paincast.tracking.served import wheel as wheels
from paincast.tracking.served.example import INVENTED, invent_patients
from paincast.tracking.served.signature import describe_columns, make_signature
from paincast.tracking.served.wheel import list_requirements, make_wheel
from paincast.tracking.store import use_store

ADDRESS = "models:/paincast.genicular_rfa.pain_response@candidate"


@pytest.fixture(scope="module")
def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(make_wheel().content))


def test_a_wheel_holds_the_package_with_its_configuration_and_nothing_compiled(archive):
    names = set(archive.namelist())
    package = Path(paincast.__file__).parent
    assert {f"paincast/{file.relative_to(package).as_posix()}" for file in package.rglob("*.py")} <= names
    assert {"paincast/configs/config.yaml", "paincast/evidence/computed.yaml", "paincast/py.typed"} <= names
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_its_record_names_every_file_with_its_hash(archive):
    (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    rows = {name: (digest, size) for name, digest, size in csv.reader(archive.read(record).decode().splitlines())}
    assert set(rows) == set(archive.namelist())
    assert rows.pop(record) == ("", "")
    for name, (digest, size) in rows.items():
        content = archive.read(name)
        expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (digest, int(size)) == (f"sha256={expected}", len(content))


def test_its_version_tells_its_content_and_satisfies_the_requirement(archive):
    name, version, _, tags = parse_wheel_filename(make_wheel().file_name)
    assert (name, version.public, {str(tag) for tag in tags}) == ("paincast", paincast.__version__, {"py3-none-any"})
    assert version > Version(paincast.__version__)
    folder = f"paincast-{version}.dist-info"
    facts = BytesParser().parsebytes(archive.read(f"{folder}/METADATA"))
    assert (facts["Name"], facts["Version"]) == ("paincast", str(version))
    assert facts.get_all("Requires-Dist") == distribution("paincast").requires
    assert "paincast = paincast.cli:main" in archive.read(f"{folder}/entry_points.txt").decode()
    assert version in Requirement(list_requirements("w")[1]).specifier


def test_the_same_package_gives_the_same_bytes_and_another_another_version(monkeypatch, tmp_path):
    first = make_wheel()
    assert make_wheel.__wrapped__() == first
    for name in ("configs", "a.py"):
        (tmp_path / "paincast" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "paincast" / "a.py").write_text("")
    monkeypatch.setattr(wheels, "PACKAGE", tmp_path / "paincast")
    other = make_wheel.__wrapped__()
    assert other.file_name != first.file_name
    assert "paincast/a.py" in zipfile.ZipFile(io.BytesIO(other.content)).namelist()


def test_requirements_are_pinned_as_installed_and_hold_no_tool_of_the_developers():
    place, ours, *others = list_requirements("artifacts/wheels")
    assert (place, ours) == ("--find-links artifacts/wheels", f"paincast=={paincast.__version__}")
    pinned = {Requirement(line).name: Requirement(line).specifier for line in others}
    assert {"mlflow", "numpy", "pandas", "pyarrow", "scipy", "xgboost-cpu"} <= set(pinned)
    assert not {"pytest", "ruff", "mypy", "dvc", "pyspark", "interpret-core"} & set(pinned)
    for name, specifier in pinned.items():
        assert distribution(name).version in specifier
        assert str(specifier).startswith("==")


def test_a_package_that_is_not_installed_is_told(monkeypatch):
    def find_nothing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(wheels, "distribution", find_nothing)
    with pytest.raises(OutputError) as refused:
        list_requirements("w")
    assert refused.value.code == "PC-TRACKING-30"


def test_inputs_are_optional_and_of_any_type_and_the_probability_is_the_first_number():
    signature = make_signature(BUILT_IN)
    assert signature.inputs.required_input_names() == []
    assert {str(kind) for kind in signature.inputs.input_types()} == {"Any"}
    assert set(signature.inputs.input_names()) == set(describe_columns(BUILT_IN))
    assert signature.outputs.input_names() == [*SERVED_COLUMNS]
    doubles = [column.name for column in signature.outputs.inputs if column.type.name == "double"]
    assert doubles[0] == "probability"


def test_mlflow_keeps_the_mark_that_the_model_checks_by_itself(recorded):
    with use_store(recorded.store):
        facts = mlflow.models.Model.load(ADDRESS)
    assert facts._is_signature_from_type_hint() is True
    assert facts.to_dict()["is_signature_from_type_hint"] is True


def test_the_example_is_of_invented_patients_whom_the_model_answers(recorded):
    with use_store(recorded.store):
        model = mlflow.pyfunc.load_model(ADDRESS)
    patients = invent_patients(recorded.model.predictor)
    assert model.input_example == patients
    assert all(patient["episode_id"].startswith(INVENTED) for patient in patients)
    assert set(recorded.model.predictor.response.encoder.owners) <= set(patients[0])
    assert len(patients[1]) < len(patients[0])
    answers = model.predict(patients)
    assert not answers["abstained"].any()
    assert answers["input_rejects"].tolist() == ["[]", "[]"]
    assert model.metadata.metadata["input_example"].startswith("patients who do not exist")


def test_an_unknown_column_reaches_the_model_and_no_log(recorded, caplog):
    with use_store(recorded.store):
        model = mlflow.pyfunc.load_model(ADDRESS)
    patients = [{"indication": "knee_osteoarthritis", "pain_nrs": 7, "Jane Doe": 63}]
    (rejects,) = model.predict(patients)["input_rejects"]
    assert '"rule": "unknown column"' in rejects
    assert "Jane" not in caplog.text
