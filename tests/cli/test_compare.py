"""`paincast compare`: what is printed and written, and that a refusal leaves no estimate in files or in MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import compared
import pytest

from paincast.cli.app import run
from paincast.cohort.tables import Cohort, save_cohort
from paincast.effects.trial import find_trial
from paincast.reporting.effects import results as module
from paincast.reporting.effects.results import ESTIMATES

Tell = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Compared:
    """A comparison by the command: its exit code, what it printed, and the folder in which it ran."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def run(self) -> Any:
        """The one run of its store."""
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{self.folder}/mlflow.db")
        [found] = client.search_runs([one.experiment_id for one in client.search_experiments()])
        return found

    def list_recorded(self) -> Iterator[Path]:
        """List the files of the run."""
        return (path for path in (self.folder / "mlartifacts").rglob("*") if path.is_file())


def compare(cohort: Cohort, folder: Path) -> Compared:
    """Save a cohort and compare on it in the same folder."""
    import contextlib
    import io

    save_cohort(cohort, folder / "ours")
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(module, "MOST_BENCHMARKS", 1)
        code = run(["compare", compared.TRIAL, "--cohort", "ours"])
    return Compared(code, out.getvalue(), err.getvalue(), folder)


@pytest.fixture(scope="module")
def by_command(registry: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return compare(registry, tmp_path_factory.mktemp("answered"))


@pytest.fixture(scope="module")
def refused_by_command(registry: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return compare(compared.part_by_pain(registry), tmp_path_factory.mktemp("refused"))


def test_a_refusal_is_one_line_and_still_reported(refused_by_command: Compared) -> None:
    assert refused_by_command.code == 2
    assert refused_by_command.err.startswith("error: ")
    assert refused_by_command.err.count("\n") == 1
    assert "[PC-EFFECTS-04]" in refused_by_command.err
    assert "failed" in refused_by_command.out
    written = refused_by_command.folder / "reports" / compared.TRIAL
    assert {path.name for path in written.iterdir()} == {"report.html", "comparison.json", "trial.yaml", "tables"}
    assert (written / "trial.yaml").read_text() == find_trial(compared.TRIAL).read_text()


def test_a_refusal_leaves_no_estimate_in_files_or_run(refused_by_command: Compared) -> None:
    run_ = refused_by_command.run
    assert run_.data.tags["verdict"] == "refused"
    assert run_.data.tags["unmet"].startswith("standardised difference")
    assert not [name for name in run_.data.metrics if name.startswith("difference")]
    files = [*refused_by_command.list_recorded(), *(refused_by_command.folder / "reports").rglob("*.*")]
    assert {path.stem for path in files} & set(ESTIMATES) == set()
    for path in files:
        if path.suffix in (".csv", ".json"):
            text = path.read_text(encoding="utf-8")
            assert "standard_error" not in text, path
            assert "estimate" not in text, path
    assert "fewer" not in refused_by_command.out
    assert "more to" not in refused_by_command.out


def test_the_run_of_a_refusal_holds_what_was_asked_and_found(refused_by_command: Compared) -> None:
    run_ = refused_by_command.run
    assert run_.info.status == "FINISHED"
    assert run_.data.tags.items() >= {"kind": "comparison", "basis": "synthetic", "use": "research use only"}.items()
    assert run_.data.tags["mlflow.note.content"].startswith("**SYNTHETIC**")
    assert {"trial", "trial_digest", "outcome", "month", "strategies", "cohort_digest", "seed"} <= set(run_.data.params)
    assert run_.data.metrics["standardised_difference/root_block_and_epidural"] > 0.1
    names = {path.name for path in refused_by_command.list_recorded()}
    assert {"report.html", "trial.yaml", "comparison.json", "flow.csv", "diagnostics.csv", "balance.csv"} <= names
    assert len([name for name in names if name.endswith(".png")]) == 2


@pytest.mark.slow
def test_an_answer_is_printed_written_and_recorded(by_command: Compared) -> None:
    assert (by_command.code, by_command.err) == (0, "")
    assert "The interval " in by_command.out
    assert "\n12 clusters by site, fewer than " in by_command.out
    assert by_command.run.data.params["clustered_by"] == "patient and site"
    result = json.loads((by_command.folder / "reports" / compared.TRIAL / "comparison.json").read_text())
    [estimate, _] = [row["estimate"] for row in result["contrasts"]]
    metrics = by_command.run.data.metrics
    assert metrics["difference/epidural_v_root_block/all_analysed_patients"] == pytest.approx(estimate)
    assert by_command.run.data.tags["verdict"] == "answered"
    assert by_command.run.data.tags["unmet"] == ""
    assert set(ESTIMATES) <= {path.stem for path in by_command.list_recorded()}


def test_a_bad_trial_file_is_one_line_with_line_and_key(registry: Cohort, tmp_path: Path, tell: Tell) -> None:
    save_cohort(compared.take_episodes(registry, registry.episodes.index.to_numpy() < 5), tmp_path / "ours")
    text = find_trial(compared.TRIAL).read_text().replace("outcome: pain_response", "outcome: pain_change")
    (tmp_path / "trial.yaml").write_text(text)
    code, _, err = tell("compare", "trial.yaml", "--cohort", "ours")
    assert code == 2
    assert err.count("\n") == 1
    assert "trial.yaml, line 11" in err
    assert "outcome" in err
    assert not (tmp_path / "reports").exists()


WRONG = {
    "[PC-EFFECTS-07]": "    - {column: approach, any_of: [caudal]}\nstrategies:",
    "not_adjusted.bmi: is empty": "not_adjusted:\n  bmi:\nstrategies:",
}


@pytest.mark.parametrize("fact", WRONG)
def test_a_trial_that_looks_at_the_choice_or_gives_no_reason_is_one_line(
    fact: str, registry: Cohort, tmp_path: Path, tell: Tell
) -> None:
    save_cohort(compared.take_episodes(registry, registry.episodes.index.to_numpy() < 5), tmp_path / "ours")
    (tmp_path / "trial.yaml").write_text(find_trial(compared.TRIAL).read_text().replace("strategies:", WRONG[fact]))
    code, _, err = tell("compare", "trial.yaml", "--cohort", "ours")
    assert code == 2
    assert err.count("\n") == 1
    assert fact in err
    assert "trial.yaml, line " in err


def test_a_cohort_without_patients_is_one_line(registry: Cohort, tmp_path: Path, tell: Tell) -> None:
    nameless = registry.episodes.assign(patient_id=registry.episodes["patient_id"].mask(registry.episodes.index >= 0))
    save_cohort(replace(registry, episodes=nameless), tmp_path / "ours")
    code, _, err = tell("compare", compared.TRIAL, "--cohort", "ours", "--no-record")
    assert code == 2
    assert err.count("\n") == 1
    assert "[PC-EFFECTS-08]" in err
    assert "patient_id" in err


def test_an_unknown_trial_is_refused_with_the_names_that_exist(tell: Tell) -> None:
    code, _, err = tell("compare", "epidural_against_root_blok", "--cohort", "ours")
    assert code == 2
    assert "'epidural_against_root_block'" in err
    assert "[PC-EFFECTS-05]" in err


@pytest.mark.slow
def test_a_store_that_cannot_be_written_does_not_lose_the_report(refused_by_command: Compared, tell: Tell) -> None:
    cohort = str(refused_by_command.folder / "ours")
    uri = "file:///nowhere"
    code, out, _ = tell("compare", compared.TRIAL, "--cohort", cohort, "-o", "there", "--tracking-uri", uri)
    assert code == 2
    assert "not recorded: " in out
    assert Path("there/report.html").is_file()
