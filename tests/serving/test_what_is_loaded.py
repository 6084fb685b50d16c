"""One answer is quick because little is loaded: no library for tables, learning, statistics or tracking."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("pandas", "scipy", "sklearn", "xgboost", "shap", "mlflow", "numba", "hydra", "matplotlib", "rich")

TELL = f"""
import json, sys
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def list_heavy(code: str, *arguments: str) -> list[str]:
    """List the heavy libraries that are loaded after some code ran in a new process."""
    command = [sys.executable, "-W", "error", "-c", code + TELL, *arguments]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(told.stdout.splitlines()[-1])


def test_importing_the_package_loads_nothing():
    assert list_heavy("import paincast, paincast.serving, paincast.serving.batch, paincast.cli.app") == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("technique", [[], ["--techniques", "all"]])
def test_a_prediction_for_a_file_loads_none(models_folder, tmp_path, suffix, technique):
    rows = ["episode_id,indication,technique,pain_nrs,age_years,sex,odi,depression,bmi"]
    rows += ["a,lumbar_facet,,7,55,female,44,yes,27.1", "b,lumbar_facet,facet_rfa,8,,male,40.5,no,"]
    (tmp_path / "patients.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / f"out{suffix}"
    arguments = ["predict", str(tmp_path / "patients.csv"), "-o", str(out), "--models", str(models_folder), *technique]
    assert list_heavy("import sys\nfrom paincast.cli.app import run\nassert run(sys.argv[1:]) == 0", *arguments) == []
    assert out.stat().st_size


def test_pandas_is_there_when_something_needs_it(models_folder, tmp_path):
    (tmp_path / "patients.csv").write_text("indication,pain_nrs\nlumbar_facet,seven\nlumbar_facet,6\n")
    code = """
import sys
from paincast.cli.app import run
assert run(["predict", sys.argv[1], "-o", sys.argv[2], "--models", sys.argv[3], "--show"]) == 3
"""
    files = [str(tmp_path / name) for name in ("patients.csv", "out.csv")]
    assert "pandas" in list_heavy(code, *files, str(models_folder))
    assert "not a number" in (tmp_path / "out.rejects.csv").read_text()


def test_arrow_knows_of_pandas_once_it_is_loaded():
    code = """
from paincast.deferred import spare_pandas
spare_pandas()
spare_pandas()
import sys
import pyarrow as pa
pa.array([1.0]).to_numpy(zero_copy_only=False)
assert "pandas" not in sys.modules
import pandas as pd
assert pa.array(pd.Series([1.0, float("nan")])).null_count == 1
assert pa.array(pd.Series(["a", None], dtype="category")).type == pa.dictionary(pa.int8(), pa.large_string())
assert isinstance(pa.array([1, 2]).to_pandas(), pd.Series)
"""
    assert list_heavy(code) == ["pandas"]
