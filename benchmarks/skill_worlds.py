"""Cohorts on which response models are compared, in two worlds, kept on disk so that every fit reads the same rows."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from foreign_world import FOREIGN_VERSION, draw_foreign
from simulator_sample import OPEN

from paincast.contract import BUILT_IN
from paincast.evaluation.simulated.truth import match_truth
from paincast.evidence.records import evidence_version, primary_horizon
from paincast.simulator import simulate_cohort
from paincast.simulator.generator import GENERATOR_VERSION

FloatArray = npt.NDArray[np.float64]

WORLDS = ("evidence", "foreign")
OUTCOME = "pain_response"
RELATIVE_FALL = 0.5
TEST_SEED = 990_001
SPARE = 1.05
"""Episodes simulated for each one of the test cohort: some lack the pain score that the outcome is asked of."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Episodes of one technique, what a registry saw of their outcome, and what only the simulation knows.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Patient, technique and the columns a model may see, with the missing values of a registry.
    outcome : ndarray of shape (n,)
        1, 0, or NaN where follow-up is missing.
    truth : ndarray of shape (n,)
        Probability that generated the outcome.
    """

    episodes: pd.DataFrame
    outcome: FloatArray
    truth: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> Labelled:
        """Give some of the rows."""
        episodes = self.episodes.iloc[rows].reset_index(drop=True)
        return Labelled(episodes=episodes, outcome=self.outcome[rows], truth=self.truth[rows])


def draw_labelled(world: str, technique: str, n: int, seed: int) -> Labelled:
    """Simulate episodes of one technique: scenario literature, confounded assignment, default missingness."""
    cohort, truth = simulate_cohort(techniques=[technique], episodes_per_technique=n, seed=seed)
    episodes = _keep_columns(cohort.episodes)
    if world == "foreign":
        whole, _ = simulate_cohort(techniques=[technique], episodes_per_technique=n, seed=seed, assumptions=OPEN)
        rng = np.random.default_rng([seed, zlib.crc32(technique.encode())])
        outcome, probability = draw_foreign(technique, _keep_columns(whole.episodes), rng)
        outcome[episodes["pain_nrs"].isna().to_numpy()] = np.nan
        return Labelled(episodes=episodes, outcome=outcome, truth=probability)
    horizon = primary_horizon(technique)
    known = truth.expand(technique=technique, outcome=OUTCOME, month=horizon)
    probability = match_truth(
        known, cohort.episodes["episode_id"], technique=technique, outcome=OUTCOME, horizon_months=horizon
    )
    outcome = ask_response(cohort.episodes, cohort.visits, horizon)
    return Labelled(episodes=episodes, outcome=outcome, truth=probability.to_numpy(float))


def ask_response(episodes: pd.DataFrame, visits: pd.DataFrame, month: float) -> FloatArray:
    """Ask the response at the very visit whose probability is known; NaN where pain is missing before or at it."""
    after = visits.loc[visits["month"] == month].set_index("episode_id")["pain_nrs"].astype(float)
    before = episodes["pain_nrs"].to_numpy(float, na_value=np.nan)
    fall = 1.0 - episodes["episode_id"].map(after).to_numpy(float) / np.where(before > 0, before, np.nan)
    return np.where(np.isfinite(fall), fall >= RELATIVE_FALL - 1e-12, np.nan)


def draw_test(world: str, technique: str, n: int) -> Labelled:
    """Simulate fresh episodes of whom the outcome can be asked: those with a pain score before the procedure."""
    drawn = draw_labelled(world, technique, int(np.ceil(SPARE * n)), TEST_SEED)
    asked = np.flatnonzero(drawn.episodes["pain_nrs"].notna().to_numpy())
    kept = np.sort(np.random.default_rng(TEST_SEED).permutation(asked)[:n])
    return drawn.take(kept)


class Shelf:
    """Labelled episodes on disk, simulated when first asked for.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept; by default below the system's folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        version = f"{GENERATOR_VERSION}-{evidence_version()[:8]}-{FOREIGN_VERSION}"
        self.folder = (folder or Path(tempfile.gettempdir()) / "paincast-benchmark-skill") / version

    def load_training(self, world: str, technique: str, n: int, seed: int) -> Labelled:
        """Give the training episodes of a technique."""
        return self._load(self.folder / world / f"train-{technique}-{n}-{seed}.parquet", world, technique, n, seed)

    def load_test(self, world: str, technique: str, n: int) -> Labelled:
        """Give the test episodes of a technique."""
        return self._load(self.folder / world / f"test-{technique}-{n}.parquet", world, technique, n, None)

    def _load(self, path: Path, world: str, technique: str, n: int, seed: int | None) -> Labelled:
        if not path.is_file():
            drawn = draw_test(world, technique, n) if seed is None else draw_labelled(world, technique, n, seed)
            _save(drawn, path)
        frame = pd.read_parquet(path)
        return Labelled(
            episodes=frame.drop(columns=["_outcome", "_truth"]),
            outcome=frame["_outcome"].to_numpy(float),
            truth=frame["_truth"].to_numpy(float),
        )


def parse_size(size: str, technique: str, techniques: Sequence[str]) -> dict[str, int]:
    """Tell the training episodes of each technique when one is modelled: ``150`` of all, or ``150/2000`` of the others.

    Examples
    --------
    >>> parse_size("150/2000", "facet_rfa", ["facet_rfa", "si_joint_rfa"])
    {'facet_rfa': 150, 'si_joint_rfa': 2000}
    """
    own, _, others = size.partition("/")
    return {name: int(own) if name == technique else int(others or own) for name in techniques}


def _keep_columns(episodes: pd.DataFrame) -> pd.DataFrame:
    return episodes[["patient_id", "technique", *(column.name for column in BUILT_IN.model_columns)]]


def _save(drawn: Labelled, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = drawn.episodes.assign(_outcome=drawn.outcome, _truth=drawn.truth)
    half = path.with_suffix(f".{np.random.SeedSequence().entropy}")
    frame.to_parquet(half, index=False)
    half.replace(path)
