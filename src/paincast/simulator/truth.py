"""True outcome probabilities of a simulated cohort, stored compactly and expanded on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from paincast.errors import SettingsError, suggest_name
from paincast.schema import NO_PROCEDURE
from paincast.simulator.course.events import compute_any_complication
from paincast.simulator.course.relief import compute_relief_survival
from paincast.simulator.course.response import PAIN
from paincast.simulator.defaults import FACTORS
from paincast.simulator.population.sites import FloatArray
from paincast.simulator.scenario import Option, Scenario, Stratum

RELIEF = "relief_duration"
COMPLICATION = "complication"
TRUTH_COLUMNS = ("episode_id", "technique", "outcome", "month", "probability", "control_probability")
OPTION_COLUMNS = (
    "indication",
    "option",
    "technique",
    "approach",
    "record",
    "effect",
    "outcome",
    "month",
    "intercept",
    "strength",
    "shared_strength",
    "control_intercept",
    "control_strength",
    "persistence",
)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """True probabilities and latent variables of a simulated cohort.

    Parameters
    ----------
    episodes : DataFrame
        A row per episode: ``episode_id, indication, option`` (the chosen option), ``opioid_user``, ``treated`` (whether
        it was received; only if a cohort keeps those who were not), the latent factors, ``shared`` (contribution of
        site, year and hidden factor to all log odds), ``hidden`` (the factor that no column shows; only if it acts on
        anything), ``effect_0 ...`` (sums of predictors), ``propensity_0 ...`` and ``selection_0 ...`` (probability that
        an option is chosen, and of selection after its trial or block).
    options : DataFrame
        A row per indication, option, outcome and month, with the coefficients of the log odds:
        ``intercept + strength x effect + shared_strength x shared``, and without the procedure
        ``control_intercept + control_strength x effect + shared_strength x shared``.
    """

    episodes: pd.DataFrame
    options: pd.DataFrame

    @property
    def probabilities(self) -> pd.DataFrame:
        """All probabilities, as returned by :meth:`expand` without arguments; the frame is large."""
        return self.expand()

    @property
    def propensity(self) -> pd.DataFrame:
        """Probability that each option was chosen, and of selection for it.

        Columns ``episode_id, technique, approach, probability, selection``; the last is the probability of selection
        after its trial or block, 1 if there is none.
        """
        return pd.concat([*self._list_propensity()], ignore_index=True)

    @property
    def factors(self) -> pd.DataFrame:
        """Latent factors: ``episode_id`` and a column for each factor."""
        return self.episodes[["episode_id", *FACTORS]]

    def expand(
        self,
        *,
        technique: str | None = None,
        outcome: str | None = None,
        month: float | None = None,
        by_approach: bool = False,
    ) -> pd.DataFrame:
        """Compute the probabilities of episodes for all or some of the eligible techniques, outcomes and months.

        For the chosen technique, ``probability`` is the probability under the received approach, from which the
        outcome was drawn; for another technique it is averaged over its approaches, weighted by propensity (by the mean
        propensities where a patient would never get it). Opioid reduction applies to opioid users; relief duration is
        the probability that the pain response holds at every visit up to the month. ``control_probability`` is that
        without any procedure, missing where the evidence gives none. All are those of patients who are alive at the
        month.

        Parameters
        ----------
        technique, outcome, month
            Requested values; by default all. ``no_procedure`` gives every episode's probability without a procedure,
            that of the option chosen: from it the outcomes of the untreated were drawn.
        by_approach : bool
            Return a row for each approach, with a column ``approach``, instead of averaging.

        Returns
        -------
        DataFrame
            ``episode_id, technique, outcome, month, probability, control_probability``.

        Raises
        ------
        SettingsError
            If there is no such technique or outcome.
        """
        is_procedure = technique != NO_PROCEDURE
        wanted = self._find_options({"outcome": outcome, "technique": technique if is_procedure else None})
        if month is not None:
            wanted = wanted[np.isclose(wanted["month"], month)]
        parts = list(self._expand_parts(wanted, by_approach) if is_procedure else self._expand_untreated(wanted))
        columns = list(TRUTH_COLUMNS)
        if by_approach:
            columns.insert(2, "approach")
        if not parts:
            return pd.DataFrame(columns=columns)
        return pd.concat(parts, ignore_index=True)[columns]

    def _find_options(self, asked: Mapping[str, str | None]) -> pd.DataFrame:
        wanted = self.options
        for column, value in asked.items():
            if value is not None:
                known = sorted(set(self.options[column]))
                if value not in known:
                    raise SettingsError(
                        f"{column}: unknown name '{value}'; {suggest_name(value, known)}", code="PC-SIMULATOR-34"
                    )
                wanted = wanted[wanted[column] == value]
        return wanted

    def _expand_untreated(self, wanted: pd.DataFrame) -> Iterator[pd.DataFrame]:
        chosen = self.episodes.groupby(["indication", "option"], observed=True, sort=False)
        for (indication, option), episodes in chosen:
            own = wanted[(wanted["indication"] == indication) & (wanted["option"] == option)]
            for row in own[own["control_intercept"].notna()].to_dict("records"):
                asked = {str(name): value for name, value in row.items()}
                _, control = _compute_outcome_truth(self.options, episodes, asked)
                frame = pd.DataFrame({"episode_id": episodes["episode_id"].to_numpy(), "probability": control})
                if row["outcome"] == "opioid_reduction":
                    frame = frame[episodes["opioid_user"].to_numpy(bool)]
                named = {name: row[name] for name in ("outcome", "month", "approach")}
                yield frame.assign(technique=NO_PROCEDURE, control_probability=frame["probability"], **named)

    def _expand_parts(self, wanted: pd.DataFrame, by_approach: bool) -> Iterator[pd.DataFrame]:
        groups = self.episodes.groupby("indication", observed=True, sort=False)
        keys = ["technique", "option"] if by_approach else ["technique"]
        for indication, episodes in groups:
            selected = wanted[wanted["indication"] == indication]
            for _, options in selected.groupby(keys, sort=False):
                approach = options["approach"].iloc[0]
                for _, rows in options.groupby(["outcome", "month"], sort=False):
                    named = {name: rows[name].iloc[0] for name in ("technique", "outcome", "month")}
                    part = self._mix_options(episodes, rows, by_approach).assign(**named)
                    yield part.assign(approach=approach) if by_approach else part

    def _mix_options(self, episodes: pd.DataFrame, rows: pd.DataFrame, by_approach: bool) -> pd.DataFrame:
        received, places = episodes["option"].to_numpy(), rows["option"].to_numpy()
        weight = np.array([episodes[f"propensity_{option}"].to_numpy(float) for option in places])
        average = np.maximum(weight.mean(axis=1, keepdims=True), np.finfo(float).tiny)
        weight = np.where(weight.any(axis=0), weight, average)
        weight /= weight.sum(axis=0)
        is_received = np.isin(received, places)
        weight[:, is_received] = received[is_received] == places[:, None]
        probability, control = np.zeros((2, len(episodes)))
        for row, share in zip(rows.to_dict("records"), weight, strict=True):
            asked = _compute_outcome_truth(self.options, episodes, {str(name): value for name, value in row.items()})
            probability += np.where(share > 0, share * asked[0], 0.0)
            control += np.where(share > 0, share * asked[1], 0.0)
        is_listed = (
            np.ones(len(episodes), dtype=bool)
            if by_approach
            else is_received | ~np.isin(received, self._siblings(rows))
        )
        if (rows["outcome"] == "opioid_reduction").all():
            is_listed &= episodes["opioid_user"].to_numpy(bool)
        frame = pd.DataFrame({"episode_id": episodes["episode_id"].to_numpy(), "probability": probability})
        return frame.assign(control_probability=control)[is_listed]

    def _siblings(self, rows: pd.DataFrame) -> NDArray[Any]:
        """Return the options of the same technique: the received approach may lack this outcome or month."""
        same = (self.options["indication"] == rows["indication"].iloc[0]) & (
            self.options["technique"] == rows["technique"].iloc[0]
        )
        return np.asarray(self.options.loc[same, "option"].unique())

    def _list_propensity(self) -> Iterator[pd.DataFrame]:
        named = self.options.drop_duplicates(["indication", "option"])
        for row in named.to_dict("records"):
            episodes = self.episodes[self.episodes["indication"] == row["indication"]]
            yield pd.DataFrame(
                {
                    "episode_id": episodes["episode_id"].to_numpy(),
                    "technique": row["technique"],
                    "approach": row["approach"],
                    "probability": episodes[f"propensity_{row['option']}"].to_numpy(float),
                    "selection": episodes[f"selection_{row['option']}"].to_numpy(float),
                }
            ).astype({"technique": "str", "approach": "str"})


def _compute_outcome_truth(
    options: pd.DataFrame, episodes: pd.DataFrame, row: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    effect = episodes[f"effect_{row['effect']}"].to_numpy(float)
    shared = row["shared_strength"] * episodes["shared"].to_numpy(float)
    control: FloatArray = expit(row["control_intercept"] + row["control_strength"] * effect + shared)
    predictor = row["strength"] * effect + shared
    if row["outcome"] == RELIEF:
        return _compute_relief_truth(options, predictor, row), control
    return np.asarray(expit(row["intercept"] + predictor)), control


def _compute_relief_truth(options: pd.DataFrame, predictor: NDArray[Any], row: dict[str, Any]) -> FloatArray:
    course = options[
        (options["indication"] == row["indication"])
        & (options["option"] == row["option"])
        & (options["outcome"] == RELIEF)
        & (options["month"] <= row["month"])
    ].sort_values("month")
    months, intercepts = course["month"].to_numpy(float), course["intercept"].to_numpy(float)
    return np.asarray(compute_relief_survival(months, intercepts, predictor, row["persistence"])[-1])


def list_options(scenario: Scenario) -> pd.DataFrame:
    """List the coefficients of the log odds for every indication, option, outcome and month."""
    rows = [
        {**_describe(stratum, index), **outcome_model}
        for stratum in scenario.strata.values()
        for index, option in enumerate(stratum.options)
        for outcome_model in _list_outcome_models(option, scenario.assumptions.response_persistence)
    ]
    frame = pd.DataFrame(rows, columns=list(OPTION_COLUMNS))
    words = ("indication", "technique", "approach", "record", "outcome")
    return frame.astype(dict.fromkeys(words, "str"))


def _describe(stratum: Stratum, place: int) -> dict[str, Any]:
    option = stratum.options[place]
    return {
        "indication": stratum.population.indication,
        "option": place,
        "technique": option.record.technique,
        "approach": option.record.approach,
        "record": option.record.id,
        "effect": option.effect,
    }


def _list_outcome_models(option: Option, persistence: float) -> Iterator[dict[str, Any]]:
    for outcome, outcome_model in option.model.by_outcome.items():
        intercepts = zip(option.model.months, outcome_model.intercepts, outcome_model.control_intercepts, strict=True)
        for month, intercept, control_intercept in intercepts:
            yield {
                "outcome": outcome,
                "month": month,
                "intercept": intercept,
                "strength": outcome_model.strength,
                "shared_strength": 1.0,
                "control_intercept": control_intercept,
                "control_strength": outcome_model.control_strength,
                "persistence": np.nan,
            }
    pain = option.model.by_outcome[PAIN]
    for month, intercept in zip(option.model.months, pain.intercepts, strict=True):
        yield {
            "outcome": RELIEF,
            "month": month,
            "intercept": intercept,
            "strength": pain.strength,
            "shared_strength": 1.0,
            "control_intercept": np.nan,
            "control_strength": np.nan,
            "persistence": persistence,
        }
    yield from _list_complications(option)


def _list_complications(option: Option) -> Iterator[dict[str, Any]]:
    kinds = [risk for risk in option.risks if risk.event_kind == COMPLICATION]
    if not kinds:
        return
    known = [(COMPLICATION, compute_any_complication(kinds), max(risk.by_month for risk in kinds))]
    known += [(f"{COMPLICATION}: {risk.detail}", risk.probability, risk.by_month) for risk in kinds]
    for outcome, probability, month in known:
        yield {
            "outcome": outcome,
            "month": month,
            "intercept": float(logit(probability)),
            "strength": 0.0,
            "shared_strength": 0.0,
            "control_intercept": np.nan,
            "control_strength": np.nan,
            "persistence": np.nan,
        }
