"""An invented registry with a technique, an indication, an instrument, predictors and an outcome of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

CONTRACT = """
contract: 1
name: spine clinic
instruments:
  zcq_function:
    title: Zurich Claudication Questionnaire, physical function
    range: [1, 4]
    direction: higher is worse
    responder: {absolute: 0.5, source: "Stucki 1996, 10.1097/00007632-199604010-00004"}
predictors:
  crp_mg_l: {type: number, unit: mg/L, range: [0, 500], known: before, skewed: true, label: CRP}
  modic_type: {type: category, values: [none, i, ii], known: before, label: Modic changes}
  prior_prp: {type: boolean, known: before}
  discs_injected: {type: integer, range: [1, 5], known: before, role: technique}
  operating_minutes: {type: number, unit: min, range: [1, 600], known: during}
  blood_group: {type: category, values: [a, b, ab, zero], known: before, role: sensitive}
techniques:
  intradiscal_prp: {title: Platelet-rich plasma into the disc, evidence: none, month: 6}
  cooled_facet_rfa: {title: Cooled ablation of facet nerves, like: facet_rfa}
indications:
  discogenic_pain: {title: Discogenic low back pain, icd10: [M51.26]}
outcomes:
  walking_improved: {from: zcq_function, at_month: 6, window: [3, 9]}
"""

MAPPING = """
title: spine clinic
read: {file: patients.csv}
episodes:
  episode_id: {column: nr}
  patient_id: {column: nr}
  site_id: {column: house}
  procedure_year: {column: year}
  technique: {column: what, codes: {prp: intradiscal_prp, cool: cooled_facet_rfa}}
  indication: {column: why, codes: {disc: discogenic_pain, facet: lumbar_facet}}
  age_years: {column: age}
  sex: {column: sex, codes: {f: female, m: male}}
  pain_nrs: {column: nrs}
  zcq_function: {column: zcq}
  crp_mg_l: {column: crp}
  modic_type: {column: modic, codes: {"0": none, "1": i, "2": ii}}
  prior_prp: {column: again}
  discs_injected: {column: discs}
  operating_minutes: {column: minutes}
  blood_group: {column: blood}
visits:
  - month: {always: 6}
    pain_nrs: {column: nrs6}
    zcq_function: {column: zcq6}
"""


def make_patients(n: int, technique: str = "prp", seed: int = 1) -> pd.DataFrame:
    """Make patients of whom CRP and Modic changes tell much of the response."""
    rng = np.random.default_rng(seed)
    crp, modic = rng.lognormal(1.0, 1.0, n).round(1), rng.choice([0, 1, 2], n, p=[0.5, 0.3, 0.2])
    log_odds = 0.3 + 1.2 * (modic == 1) - 1.0 * (np.log1p(crp) - 1.3)
    responds = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    nrs, zcq = rng.integers(4, 11, n), rng.uniform(2.0, 4.0, n).round(2)
    lost = rng.random(n) < 0.1
    after = np.where(responds, (0.3 * nrs).round(), nrs - rng.integers(0, 2, n))
    return pd.DataFrame(
        {
            "nr": [f"P{number:04d}" for number in range(n)],
            "house": rng.choice(["north", "south", "west"], n),
            "year": rng.integers(2018, 2025, n),
            "what": technique,
            "why": "disc" if technique == "prp" else "facet",
            "age": rng.integers(25, 80, n),
            "sex": rng.choice(["f", "m"], n),
            "nrs": nrs,
            "zcq": zcq,
            "crp": crp,
            "modic": modic,
            "again": rng.choice(["yes", "no"], n),
            "discs": rng.integers(1, 4, n),
            "minutes": rng.integers(20, 90, n),
            "blood": rng.choice(["a", "b", "ab", "zero"], n),
            "nrs6": pd.Series(after).mask(pd.Series(lost)),
            "zcq6": pd.Series((zcq - np.where(responds, 0.8, 0.1)).clip(1, 4).round(2)).mask(pd.Series(lost)),
        }
    )


def write_registry(folder: Path, patients: pd.DataFrame, *, contract: str = CONTRACT, mapping: str = MAPPING) -> Path:
    """Write the files of a registry; return its mapping."""
    folder.mkdir(parents=True, exist_ok=True)
    patients.to_csv(folder / "patients.csv", index=False)
    (folder / "contract.yaml").write_text(contract)
    (folder / "mapping.yaml").write_text(mapping)
    return folder / "mapping.yaml"
