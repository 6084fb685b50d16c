"""`paincast predict` and `paincast evaluate` as processes: exit codes, full disk, interruption."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from paincast.cli.app import run
from paincast.cohort.tables import Cohort, conform, load_cohort, save_cohort
from paincast.errors import SettingsError
from paincast.evaluation.simulated.truth import load_truth
from paincast.predictor.bundle import read_signing_key, sign_bundle
from paincast.serving.batch import predict_file
from paincast.serving.predict import load_models, predict
from paincast.serving.validation.external import evaluate_models
from paincast.simulator import write_cohort

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def folder(tmp_path, models_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(models_folder)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_examples_are_predicted_with_abstentions(capsys):
    command = ["predict", str(EXAMPLES / "patients.csv"), "-o", "out.csv", "--no-progress"]
    assert run([*command, "--techniques", "all"]) == 0
    said = capsys.readouterr()
    assert "10 patients" in said.out
    assert "\nresearch use only: epidural_steroid_injection, facet_rfa\n" in said.out
    assert said.err == ""
    found = pd.read_csv("out.csv").set_index(["episode_id", "technique"])
    assert found.index.get_level_values("episode_id").nunique() == 10
    assert not found.loc[("ex-01", "epidural_steroid_injection"), "abstained"]
    assert "no model" in found.loc[("ex-09", "trigeminal_rhizotomy"), "abstained_because"]
    assert not found.loc[("ex-03", "epidural_steroid_injection"), "eligible"]
    assert "infection" in found.loc[("ex-03", "epidural_steroid_injection"), "ineligible_because"]
    assert "pain_nrs is missing" in found.loc[("ex-07", "facet_rfa"), "abstained_because"]
    assert not found.loc[("ex-10", "facet_rfa"), "abstained"]


def test_the_examples_are_all_valid_and_cover_what_their_readme_says():
    frame = pd.read_csv(EXAMPLES / "patients.csv")
    text = (EXAMPLES / "README.md").read_text()
    assert len(frame) == 10
    assert "made up" in text
    assert all(episode in text for episode in frame["episode_id"])


@pytest.mark.usefixtures("folder")
def test_only_one_technique(patients, capsys):
    patients.to_csv("patients.csv", index=False)
    assert run(["predict", "patients.csv", "-o", "out.parquet", "--technique", "facet_rfa"]) == 0
    assert set(pd.read_parquet("out.parquet")["technique"]) == {"facet_rfa"}
    assert capsys.readouterr().err == "", "progress is for a terminal, not for a log"


@pytest.mark.slow
def test_progress_shows_in_a_terminal(folder, patients):
    patients.to_csv("patients.csv", index=False)
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    command = [Path(sys.executable).with_name("paincast"), "predict", "patients.csv", "-o", "out.csv"]
    subprocess.run(command, cwd=folder, stderr=follower, stdout=subprocess.DEVNULL, check=True)
    shown = b""
    while select.select([leader], [], [], 0.2)[0]:
        shown += os.read(leader, 65536)
    assert re.search(rb"\d patients/(s|min)", shown)


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_too_many_rejects_exit_with_3_and_the_predictions_stand(patients, capsys):
    patients.assign(odi=["forty", 50, 45, 48, 44]).to_csv("patients.csv", index=False)
    arguments = ["predict", "patients.csv", "-o", "out.csv", "--no-progress"]
    assert run(arguments) == 3
    said = capsys.readouterr()
    assert "20.0%" in said.err
    assert "out.rejects.csv" in said.out
    assert "forty" not in said.out + said.err + Path("out.rejects.csv").read_text()
    assert Path("out.csv").exists()
    assert run([*arguments, "--max-rejects", "0.2"]) == 0


@pytest.mark.usefixtures("folder")
def test_a_wrong_unit_is_noticed(patients):
    patients.assign(pain_nrs=patients["pain_nrs"] * 10).to_csv("patients.csv", index=False)
    assert run(["predict", "patients.csv", "-o", "out.csv", "--no-progress"]) == 3
    assert "another unit" in Path("out.rejects.csv").read_text()
    assert pd.read_csv("out.csv")["abstained"].all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv", "-o", "out.csv"], "nowhere.csv does not exist"),
        (["patients.csv", "-o", "patients.csv"], "is the input file of patients"),
        (["patients.csv", "-o", "out.csv", "--models", "none"], "no models: none does not exist"),
        (["patients.csv", "-o", "out.csv", "--technique", "bariatric_embolization"], "is refused"),
    ],
)
def test_what_can_be_mended_is_said_in_one_line(folder, patients, capsys, arguments, words):
    patients.to_csv("patients.csv", index=False)
    assert run(["predict", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["models", "patients.csv"]


def start(folder: Path, before: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a command in a process of its own after some lines of Python."""
    script = (
        f"import sys\n{before}\nfrom paincast.cli.app import main\nsys.argv = {['paincast', *arguments]!r}\nmain()\n"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_full_disk_leaves_nothing(folder, patients, suffix):
    resource = pytest.importorskip("resource", reason="limits of file size are of Unix")
    assert resource.RLIMIT_FSIZE is not None
    many = pd.concat([patients.assign(episode_id=patients["episode_id"] + str(i)) for i in range(40)])
    many.to_csv("patients.csv", index=False)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))"
    with start(folder, limit, "predict", "patients.csv", "-o", f"out{suffix}", "--no-progress") as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith(f"error: cannot write out{suffix}: ")
    assert "File too large; no partial output was left" in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["models", "patients.csv"]


SLOW = """
import time
from pathlib import Path
import paincast.serving.batch.scoring as batch
real = batch.answer_patients
def slowly(chunk, *rest, **options):
    rows = real(chunk, *rest, **options)
    Path("started").touch()
    time.sleep(60)
    return rows
batch.answer_patients = slowly
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "terminated"]
)
def test_an_interrupted_run_leaves_the_old_output_and_nothing_else(folder, patients, number, code):
    patients.to_csv("patients.csv", index=False)
    Path("out.csv").write_text("old")
    with start(folder, SLOW, "predict", "patients.csv", "-o", "out.csv", "--no-progress") as process:
        deadline = time.monotonic() + 60
        while not Path("started").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any(path.name.startswith(".out.csv") for path in folder.iterdir()), "nothing had begun"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert err.strip() == "interrupted; no partial output was left"
    assert sorted(path.name for path in folder.iterdir()) == ["models", "out.csv", "patients.csv", "started"]
    assert Path("out.csv").read_text() == "old"


IN_PARTS = """
import time
from pathlib import Path
from paincast.serving.batch import parts, run
run.predict_file.__kwdefaults__.update(chunk_rows=1, part_rows=1)
real = parts.PartsFolder.finish_part
def then_wait(folder, files, **facts):
    part = real(folder, files, **facts)
    if part.number == 2:
        Path("started").touch()
        time.sleep(60)
    return part
parts.PartsFolder.finish_part = then_wait
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)], ids=["killed", "terminated"]
)
def test_a_run_that_ended_early_is_resumed_and_is_alone(folder, patients, monkeypatch, capsys, number, code):
    monkeypatch.setitem(predict_file.__kwdefaults__, "chunk_rows", 1)
    monkeypatch.setitem(predict_file.__kwdefaults__, "part_rows", 1)
    patients.to_csv("patients.csv", index=False)
    assert run(["predict", "patients.csv", "-o", "whole/out.csv", "--no-progress"]) == 0
    Path("out.csv").write_text("old")
    command = ["predict", "patients.csv", "-o", "out.csv", "--no-progress"]
    with start(folder, IN_PARTS, *command) as process:
        deadline = time.monotonic() + 60
        while not Path("started").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        capsys.readouterr()
        assert run([*command, "--resume"]) == 2
        err = capsys.readouterr().err
        assert f"process {process.pid}" in err
        assert "PC-FILES-70" in err
        assert err.count("\n") == 1
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert ("--resume" in err) == (number == signal.SIGTERM)
    assert err.strip().count("\n") == 0
    assert Path("out.csv").read_text() == "old"
    assert run([*command, "--resume"]) == 0
    for name in ("out.csv", "out.summary.json"):
        assert Path(name).read_bytes() == Path("whole", name).read_bytes()
    written = {"models", "out.csv", "out.summary.json", "patients.csv", "started", "whole"}
    assert {path.name for path in folder.iterdir()} == written


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_external_validation_of_a_simulated_cohort_has_intervals_and_the_truth(capsys):
    write_cohort("cohort", techniques=["facet_rfa", "si_joint_rfa"], episodes_per_technique=200, seed=5)
    assert run(["evaluate", "models", "cohort", "-o", "report", "--resamples", "60"]) == 0
    out = capsys.readouterr().out
    metrics = pd.read_csv("report/metrics.csv")
    flow = pd.read_csv("report/flow.csv").set_index("technique")
    assert set(metrics["technique"]) == {"facet_rfa"}
    assert {"auroc", "calibration_slope", "regret", "bayes_optimal_auroc"} <= set(metrics["metric"])
    assert (metrics["lower"] <= metrics["estimate"]).all()
    assert (metrics["n"] == flow.loc["facet_rfa", "evaluated"]).all()
    counts = flow.loc["facet_rfa"]
    assert counts["episodes"] == 200
    assert counts["followed_up"] == counts["abstained"] + counts["evaluated"] < 200
    needed = counts[["needed_for_slope", "needed_for_o_e", "needed_for_auroc"]].astype(int)
    assert (needed > 50).all()
    assert all(str(size) in out for size in needed)
    assert flow["needed_for_slope"].drop("facet_rfa").isna().all()
    assert "report/metrics.csv" in out
    assert run(["evaluate", "models", "cohort", "-o", "again", "--resamples", "60"]) == 0
    assert Path("again/metrics.csv").read_text() == Path("report/metrics.csv").read_text()


def make_real_cohort(technique: str, month: float) -> Cohort:
    rng = np.random.default_rng(3)
    n = 60
    episodes = pd.DataFrame(
        {
            "episode_id": [f"e{i}" for i in range(n)],
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "technique": technique,
            "indication": "lumbar_facet",
            "pain_nrs": rng.integers(5, 11, n),
            "odi": rng.normal(45, 10, n),
            "age_years": 50.0,
        }
    )
    visits = pd.DataFrame({"episode_id": episodes["episode_id"], "month": month, "pain_nrs": rng.integers(0, 11, n)})
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", visits),
        events=conform("events", pd.DataFrame()),
        basis="real",
    )


def test_external_validation_of_a_real_cohort_has_no_truth(models_folder):
    metrics, flow, *_ = evaluate_models(
        load_models(models_folder), make_real_cohort("facet_rfa", 6.0), rng=np.random.default_rng(1), resamples=60
    )
    assert set(metrics["cohort_basis"]) == {"real"}
    assert set(metrics["model_basis"]) == {"synthetic"}
    assert "regret" not in set(metrics["metric"])
    # What the predictions alone lead to expect: nothing of the outcomes seen is in it.
    assert flow["needed_for_o_e"].item() in {
        int(np.ceil(round(10_000 / percent - 100, 9))) for percent in range(1, 100)
    }
    assert "30 patients" in metrics["method"].iloc[0]


def test_external_validation_says_whose_visits_answered_for_the_horizon(models_folder):
    models = load_models(models_folder)
    flow = evaluate_models(models, make_real_cohort("facet_rfa", 4.1), rng=np.random.default_rng(1), resamples=50).flow
    (counts,) = flow.to_dict("records")
    assert counts["note"] == f"answered by visits of month 4: {counts['evaluated']}"
    flow = evaluate_models(models, make_real_cohort("facet_rfa", 6.2), rng=np.random.default_rng(1), resamples=50).flow
    assert flow["note"].tolist() == [""]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("technique", "month", "words"),
    [
        ("si_joint_rfa", 6.0, "none of the 2 models is for a technique of this cohort; it holds"),
        ("facet_rfa", 1.0, "facet_rfa: no follow-up determines pain_response at 6 months"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_evaluated_is_refused(capsys, technique, month, words):
    save_cohort(make_real_cohort(technique, month), "cohort")
    assert run(["evaluate", "models", "cohort", "-o", "report"]) == 2
    assert words in capsys.readouterr().err
    assert not Path("report").exists()


@pytest.mark.slow
def test_the_truth_is_that_of_the_question_asked(models_folder, tmp_path):
    write_cohort(tmp_path / "cohort", techniques=["facet_rfa"], episodes_per_technique=150, seed=6)
    known = load_truth(tmp_path / "cohort")
    shifted = known.assign(probability=known["probability"].where(known["month"] == 6.0, 0.5))
    rng = [np.random.default_rng(1) for _ in range(2)]
    models, cohort = load_models(models_folder), load_cohort(tmp_path / "cohort")
    one = evaluate_models(models, cohort, truth=known, rng=rng[0], resamples=60).metrics
    two = evaluate_models(models, cohort, truth=shifted, rng=rng[1], resamples=60).metrics
    pd.testing.assert_frame_equal(one, two)
    assert "regret" in set(one["metric"])


def test_only_signed_models_are_asked_where_keys_are_trusted(tmp_path, models_folder, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models_folder, "models")
    for name in ("private", "other"):
        key = Ed25519PrivateKey.generate()
        Path(f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        Path(f"{name}.pem").chmod(0o600)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        Path(f"{name}_public.pem").write_bytes(public)
    command = ["predict", str(EXAMPLES / "patients.csv"), "-o", "out.csv", "--no-progress", "--trusted-keys"]
    bundles = [technique / "pain_response" for technique in Path("models").iterdir()]
    sign_bundle(bundles[0], read_signing_key("private.pem"))
    assert run([*command, "private_public.pem"]) == 2  # one of two is signed
    assert "PC-MODEL-46" in capsys.readouterr().err
    sign_bundle(bundles[1], read_signing_key("private.pem"))
    assert run([*command, "other_public.pem"]) == 2
    assert run([*command, "private.pem"]) == 2
    assert not Path("out.csv").exists()
    assert run([*command, "private_public.pem"]) == 0
    assert Path("out.csv").exists()
    patients = pd.read_csv(EXAMPLES / "patients.csv")
    assert len(predict(patients, "models", trusted_keys="private_public.pem")) == len(pd.read_csv("out.csv"))
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-SERVING-64"):
        predict(patients, load_models("models"), trusted_keys="private_public.pem")
