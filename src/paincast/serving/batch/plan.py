"""What a batch prediction is made from: inputs, models, software and options, and what of it changed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from paincast.cohort.reading.several import Source
from paincast.contract import Contract
from paincast.files import hash_file
from paincast.files.serialization import to_plain
from paincast.predictor import Predictor
from paincast.version import __version__

FORMAT = 2


def make_plan(
    sources: Sequence[Source],
    facts: Sequence[os.stat_result],
    models: Mapping[str, Predictor],
    contract: Contract,
    *,
    options: Mapping[str, object],
    sizes: Mapping[str, int],
    suffix: str,
) -> dict[str, Any]:
    """Describe a batch prediction as plain data: two runs of the same plan write the same rows.

    Parameters
    ----------
    sources : sequence of Source
        Input files; each is read once to hash it.
    facts : sequence of os.stat_result
        Status of each file.
    models : mapping of str to Predictor
        Models by name.
    contract : Contract
        Of the models.
    options : mapping of str to object
        What was asked; anything that JSON can hold.
    sizes : mapping of str to int
        Rows of a batch and of a part.
    suffix : str
        Format of the output.

    Returns
    -------
    dict
    """
    plan = {
        "format": FORMAT,
        "software": list_software(),
        "input": [
            {"file": source.name, "bytes": fact.st_size, "sha256": hash_file(source.file)}
            for source, fact in zip(sources, facts, strict=True)
        ],
        "models": {name: _describe_model(model) for name, model in models.items()},
        "contract": contract.digest if contract.declared else "",
        "options": dict(options),
        "sizes": dict(sizes),
        "output": suffix,
    }
    return dict(json.loads(json.dumps(plan)))


def list_software() -> dict[str, str]:
    """List the versions on which the digits of an answer depend."""
    return {
        "paincast": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": version("pandas"),
        "pyarrow": pa.__version__,
    }


def _describe_model(model: Predictor) -> dict[str, str]:
    """Describe a model by its version, and by what is recorded beside it and stands in its answers too."""
    validations = json.dumps(to_plain(model.validations), sort_keys=True)
    return {
        "version": model.version,
        "use": model.use,
        "validations": hashlib.sha256(validations.encode()).hexdigest()[:12] if model.validations else "",
    }


def list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List what differs between two plans, by name.

    Examples
    --------
    >>> list_changes({"options": {"months": [3]}, "output": ".csv"}, {"options": {"months": [6]}, "output": ".csv"})
    ['options: months']
    """
    changes = []
    for name in dict.fromkeys([*now, *before]):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name == "input" and isinstance(old, list) and isinstance(new, list):
            old, new = ({str(entry["file"]): entry for entry in files} for files in (old, new))
        if isinstance(old, dict) and isinstance(new, dict):
            parts = [str(key) for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]
            changes.append(f"{name}: {', '.join(parts)}" if parts else f"the order of {name}")
        else:
            changes.append(name)
    return changes
