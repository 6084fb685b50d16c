"""Choose the model that answers for a technique, an outcome and a month, or say why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import NamedTuple

from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.eligibility import check_indication, explain_missing_model
from paincast.errors import SettingsError
from paincast.predictor import Predictor

NO_MONTH = "no model of this month"
"""Beginning of the reason to abstain where a technique has models, and none of the requested month."""

NO_PRIMARY_MONTH = "no model of the primary month"
"""The same where no month is requested, and models of several further months are at hand."""


class Asked(NamedTuple):
    """A technique, an outcome and a month; the month None is the primary one of the models."""

    technique: str
    outcome: str
    month: float | None = None


def check_months(months: Iterable[float] | None) -> tuple[float, ...] | None:
    """Check requested months; return each once, in ascending order.

    Raises
    ------
    SettingsError
        If there is none, or one is not a number above 0.

    Examples
    --------
    >>> check_months([6, 3, 6.0])
    (3.0, 6.0)
    """
    if months is None:
        return None
    given = list(months) if isinstance(months, Iterable) and not isinstance(months, str) else []
    if not given or not all(_is_month(month) for month in given):
        raise SettingsError(
            "months: needs numbers of months after the procedure, above 0, for example [3, 6]", code="PC-SERVING-29"
        )
    return tuple(sorted({float(month) for month in given}))


def _is_month(month: object) -> bool:
    is_number = isinstance(month, Real) and not isinstance(month, bool)
    return is_number and 0.0 < float(month) < math.inf  # type: ignore[arg-type]


def select_models(models: Mapping[str, Predictor], months: Iterable[float] | None) -> dict[str, Predictor]:
    """Select the models that are asked: those of any month if months are requested, else one for each outcome.

    Parameters
    ----------
    models : mapping of str to Predictor
        Models by name.
    months : iterable of float, optional
        Requested months.

    Returns
    -------
    dict of str to Predictor
        Where several further months have a model and the primary one has none, all of them: which one is meant is
        unknown, and :func:`explain_no_model` says so.
    """
    if months is not None:
        return dict(models)
    with_primary = {(model.technique, model.outcome) for model in models.values() if model.is_primary}
    return {
        name: model
        for name, model in models.items()
        if model.is_primary or (model.technique, model.outcome) not in with_primary
    }


def common_contract(models: Iterable[Predictor]) -> Contract:
    """Return the contract of models that are asked together; those of the built-in contract fit every other.

    Raises
    ------
    SettingsError
        If models of two contracts are among them: their columns could mean different things.
    """
    contracts = {model.contract.digest: model.contract for model in models if model.contract.declared}
    if len(contracts) > 1:
        listed = " and ".join(f"{contract.name} ({digest})" for digest, contract in sorted(contracts.items()))
        raise SettingsError(
            f"the models have different contracts, {listed}; ask those of one contract at a time", code="PC-SERVING-36"
        )
    return next(iter(contracts.values()), BUILT_IN)


def choose_model(models: Mapping[str, Predictor], asked: Asked) -> Predictor | None:
    """Choose the model that answers; None if there is none.

    Without a month it is the model of the primary month, or the only one there is. Of two models of the requested
    month, it is the one that was trained as the primary one.
    """
    own = _list_models(models, asked)
    if asked.month is None:
        return own[0] if own and (own[0].is_primary or len(own) == 1) else None
    return next((model for model in own if math.isclose(model.horizon_months, asked.month)), None)


def explain_no_model(
    models: Mapping[str, Predictor], asked: Asked, episodes: pd.DataFrame, contract: Contract
) -> str | pd.Series:
    """Explain why no model answers: the indication does not fit the technique, or the month has no model.

    Parameters
    ----------
    models : mapping of str to Predictor
        Models by name.
    asked : Asked
        For which :func:`choose_model` finds no model.
    episodes : DataFrame of shape (n, ...)
        Patients.
    contract : Contract
        From :func:`common_contract`.

    Returns
    -------
    str or Series of str, shape (n,)
    """
    own = _list_models(models, asked)
    if not own:
        if any(model.technique == asked.technique for model in models.values()):
            return f"there is no model for {asked.outcome} after {asked.technique} among those loaded"
        return explain_missing_model(asked.technique, contract)
    listed = ", ".join(f"{month:g}" for month in sorted({model.horizon_months for model in own}))
    lacking = (
        f"{NO_PRIMARY_MONTH} of {asked.technique}"
        if asked.month is None
        else f"{NO_MONTH}: {asked.technique} has none of month {asked.month:g}"
    )
    unfit = check_indication(own[0].rules, episodes)
    return unfit.mask(unfit == "", f"{lacking}; months with a model: {listed}")


def _list_models(models: Mapping[str, Predictor], asked: Asked) -> list[Predictor]:
    """List the models of a technique and an outcome, the primary one first, then by month."""
    own = [model for model in models.values() if (model.technique, model.outcome) == (asked.technique, asked.outcome)]
    return sorted(own, key=lambda model: (not model.is_primary, model.horizon_months))
