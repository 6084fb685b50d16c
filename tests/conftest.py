from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from paincast.cli.data import REAL_DATA
from paincast.cohort.registry.data_sets import locate_data_set
from paincast.settings import MODEL_KINDS, CalibrationSettings, ModelSettings, TrainingSettings, UncertaintySettings

if TYPE_CHECKING:
    from paincast.cohort.tables import Cohort
    from paincast.reporting.effects.results import ComparisonResults

ROOT = Path(__file__).resolve().parents[1]

# Settings that several modules share are a module of their own.
sys.path.insert(0, str(Path(__file__).parent))

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TRAINED = {"recorded", "released", "trained"}
"""Fixtures that train models and record their runs: tests that use them are slow."""

KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(kind == "ebm" and not find_spec("interpret"), reason="needs the extra"))
    for kind in MODEL_KINDS
]
REAL_SETS = ("back_pain_placebo_2022", "caudal_esi_2018", "genicular_rfa_2024", "trigeminal_percutaneous_2024")


BUDGETS = {
    "src": 20,
    "tests/cli": 60,
    "tests/cohort": 80,
    "tests/disclosure": 20,
    "tests/effects": 40,
    "tests/evaluation": 60,
    "tests/evidence": 40,
    "tests/explain": 20,
    "tests/models": 150,
    "tests/profiling": 40,
    "tests/reporting": 40,
    "tests/serving": 100,
    "tests/settings": 20,
    "tests/simulator": 40,
    "tests/tracking": 40,
    "tests": 60,
}
"""Seconds of one core that the tests of a folder may take in `make test`; `tests` is for modules outside folders."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the folders that took longer than their budget, where the slow tests were left out."""
    if config.option.markexpr != "not slow":
        return
    spent: Counter[str] = Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            folders = [name for name in BUDGETS if report.nodeid.startswith(f"{name}/")]
            spent[max(folders, key=len)] += report.duration
    for folder, seconds in sorted(spent.items()):
        if seconds > BUDGETS[folder]:
            terminalreporter.write_line(
                f"{folder} took {seconds:.0f} s; its budget is {BUDGETS[folder]} s (CONTRIBUTING)"
            )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if TRAINED.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Give every kind of model in turn; the extra ones where they are installed."""
    return request.param


@pytest.fixture(scope="session")
def few_candidates() -> dict[str, object]:
    """Settings of a model with one candidate of each kind, so that fitting takes no time."""
    return {
        "ridge_prior_sds": [0.12],
        "lasso_penalties": [],
        "trials": 1,
        "additive": [{"max_rounds": 30}],
        "selection_folds": 3,
    }


@pytest.fixture(scope="session")
def few_settings(few_candidates: dict[str, Any]) -> Callable[..., TrainingSettings]:
    """Make settings that fit one kind of model with few candidates and refits: ``few_settings(kind, calibration)``."""

    def make(kind: str, calibration: str = "affine", **changes: Any) -> TrainingSettings:
        return TrainingSettings(
            model=ModelSettings(**{**few_candidates, "candidates": [kind], **changes}),
            calibration=CalibrationSettings(method=calibration),
            uncertainty=UncertaintySettings(refits=10),
            jobs=1,
        )

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that holds the four published data sets, each in a folder of its name.

    It is the one that PAINCAST_REAL_DATA names, or else the one that ``paincast fetch`` fills.
    """
    if named := os.environ.get("PAINCAST_REAL_DATA"):
        folders = [Path(named)]
    else:
        folders = [ROOT / REAL_DATA, ROOT.parent / "shared" / "real"]
    for folder in folders:
        if all(locate_data_set(name, folder).is_dir() for name in REAL_SETS):
            return folder
    message = f"the published data sets are not in {folders[0]}: 'paincast fetch {' '.join(REAL_SETS)}' brings them"
    if os.environ.get("PAINCAST_REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def registry() -> Cohort:
    """A simulated registry in which techniques can be compared."""
    import compared

    return compared.simulate_registry()


@pytest.fixture(scope="session")
def answered(registry: Cohort) -> ComparisonResults:
    """A comparison whose diagnostics pass."""
    import compared

    return compared.gather(registry)


@pytest.fixture(scope="session")
def refused(registry: Cohort) -> ComparisonResults:
    """A comparison refused for want of overlap."""
    import compared

    return compared.gather(compared.part_by_pain(registry))


class CountedSteps:
    """Progress that is written down instead of shown."""

    def __init__(self) -> None:
        self.expected = 0.0
        self.done: list[float] = []
        self.texts: list[str] = []

    def expect(self, steps: float) -> None:
        self.expected += steps

    def advance(self, steps: float = 1.0) -> None:
        self.done.append(steps)

    def describe(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def counted_steps() -> CountedSteps:
    return CountedSteps()
