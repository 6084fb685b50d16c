"""The target trial beside its emulation, component by component."""

from __future__ import annotations

import pandas as pd

from paincast.effects import TargetTrial
from paincast.evidence.conditions import describe_condition


def describe_protocol(trial: TargetTrial) -> pd.DataFrame:
    """Describe the target trial and its emulation, component by component, for a report by the TARGET statement [1]_.

    Returns
    -------
    DataFrame
        ``component, target_trial, emulation``.

    References
    ----------
    .. [1] Cashin AG, et al. Transparent reporting of observational studies emulating a target trial: the TARGET
       statement. JAMA 2025;334:1084-1093. doi:10.1001/jama.2025.13350

    Examples
    --------
    >>> from paincast.effects import read_trial
    >>> from paincast.settings.configs import find_configs
    >>> trial = read_trial(find_configs() / "trial" / "epidural_against_root_block.yaml")
    >>> describe_protocol(trial)["target_trial"].iloc[1]
    'nerve root block; epidural steroid injection'
    """
    strategies = "; ".join(strategy.describe() for strategy in trial.strategies)
    conditions = "".join(f"; {describe_condition(condition)}" for condition in trial.conditions)
    outcome = f"{trial.outcome.question}, at month {trial.month:g}"
    rows = [
        (
            "eligibility",
            ", ".join(name.replace("_", " ") for name in trial.indications) + conditions,
            "the same; no absolute contraindication to any strategy; the first such episode of each patient",
        ),
        ("treatment strategies", strategies, "the same, by what was done"),
        (
            "assignment",
            "at random, not blinded",
            "as chosen in practice; taken as random given site and covariates",
        ),
        ("time zero", "randomisation, the day of the procedure", "the day of the procedure"),
        ("outcome", outcome, f"{outcome}; {trial.outcome.horizon_rule}"),
        (
            "causal contrast",
            f"difference in risk against {trial.reference.describe()}, among all randomised",
            "the same among the analysed patients; loss to follow-up is taken as random given strategy and covariates",
        ),
        (
            "statistical analysis",
            "difference in shares",
            "cross-fitted augmented inverse probability weighting, loss to follow-up included; clustered by patient, "
            "and by site if there is more than one",
        ),
        ("not measured", "balanced by randomisation", "; ".join(trial.unmeasured) or "none was stated"),
    ]
    return pd.DataFrame(rows, columns=["component", "target_trial", "emulation"])
