"""List what a contract holds, built in or declared: columns, techniques, indications and outcomes."""

from __future__ import annotations

from paincast.contract.contract import BUILT_IN, Contract, describe_own_technique

Row = dict[str, str]


def list_columns(contract: Contract = BUILT_IN) -> list[Row]:
    """List the columns of all tables with type, unit, allowed values, role, timing and description.

    Parameters
    ----------
    contract : Contract
        The contract.

    Returns
    -------
    list of dict
        The data dictionary, in the order of the contract.
    """
    return [
        {
            "table": table,
            "column": column.name,
            "type": column.type,
            "unit": column.unit or "",
            "allowed": column.allowed,
            "role": column.role,
            "timing": column.timing,
            "required": "yes" if column.required else "no",
            "description": column.description,
        }
        for table, columns in contract.tables.items()
        for column in columns.values()
    ]


def list_contract(contract: Contract = BUILT_IN) -> list[Row]:
    """List everything: the columns, the techniques, the indications and the outcomes, each with who declared it.

    Examples
    --------
    >>> {row["declared"] for row in list_contract()}
    {'built in'}
    """
    return [
        *(
            {**row, "declared": _declared(contract, row["column"] in BUILT_IN.tables[row["table"]])}
            for row in list_columns(contract)
        ),
        *_list_techniques(contract),
        *_list_indications(contract),
        *_list_outcomes(contract),
    ]


def _declared(contract: Contract, built_in: bool) -> str:
    return "built in" if built_in else contract.name


def _list_techniques(contract: Contract) -> list[Row]:
    rows = []
    for name in contract.techniques:
        own = contract.own_techniques.get(name)
        rows.append(
            {
                "table": "techniques",
                "technique": name,
                "title": name.replace("_", " ") if own is None else own.title,
                "evidence": "see paincast evidence" if own is None else describe_own_technique(own),
                "declared": _declared(contract, own is None),
            }
        )
    return rows


def _list_indications(contract: Contract) -> list[Row]:
    rows = []
    for name in contract.indications:
        own = contract.own_indications.get(name)
        rows.append(
            {
                "table": "indications",
                "indication": name,
                "title": name.replace("_", " ") if own is None else own.title,
                "icd10": "" if own is None else ", ".join(own.icd10),
                "declared": _declared(contract, own is None),
            }
        )
    return rows


def _list_outcomes(contract: Contract) -> list[Row]:
    return [
        {
            "table": "outcomes",
            "outcome": outcome.name,
            "kind": outcome.kind,
            "question": outcome.question,
            "answered by": ", ".join(line.measure for line in outcome.lines),
            "month": "" if outcome.horizon_months is None else f"{outcome.horizon_months:g}",
            "declared": _declared(contract, BUILT_IN.outcomes.get(outcome.name) == outcome),
        }
        for outcome in contract.outcomes.values()
    ]
