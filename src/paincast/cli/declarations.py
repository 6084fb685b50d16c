"""Commands that print what is declared: settings of a training run, schema, contract."""

from __future__ import annotations

from pathlib import Path

import click

from paincast.cli.terminal.printing import echo, print_table
from paincast.schema import TABLES

LONGEST_DEFAULT = 60
"""Characters; for a longer default, the number of its items is shown."""


@click.command("schema")
@click.option("--format", "form", default="md", show_default=True, type=click.Choice(["md", "json"]))
@click.option("--table", type=click.Choice(list(TABLES)), help="One table only.")
@click.option("--instruments", is_flag=True, help="The library of instruments instead of the columns.")
@click.option(
    "--contract",
    "contract_file",
    is_flag=False,
    flag_value=Path(),
    type=click.Path(path_type=Path),
    metavar="[FILE]",
    help="Everything: columns, techniques, indications and outcomes; of FILE, a contract.yaml, too.",
)
@click.option("--json-schema", is_flag=True, help="The JSON Schema of contract.yaml, for editors and other tools.")
def print_schema(
    form: str, table: str | None, instruments: bool, contract_file: Path | None, json_schema: bool
) -> None:
    """Print the data dictionary: every column with type, unit, allowed values, role and timing.

    \b
    Examples:
      paincast schema --table episodes
      paincast schema --format json > dictionary.json
      paincast schema --instruments
      paincast schema --contract our/contract.yaml
      paincast schema --json-schema > contract.schema.json
    """  # noqa: D301
    import json

    from paincast.contract import BUILT_IN, CONTRACT_SCHEMA, load_contract
    from paincast.contract.listing import list_columns, list_contract
    from paincast.schema.instruments import list_instruments

    if sum([bool(table), instruments, contract_file is not None, json_schema]) > 1:
        raise click.UsageError("--table, --instruments, --contract and --json-schema exclude each other")
    if json_schema:
        echo(json.dumps(CONTRACT_SCHEMA, indent=2))
        return
    if instruments:
        rows = [{"table": "instruments", **row} for row in list_instruments()]
    elif contract_file is not None:
        rows = list_contract(load_contract(contract_file) if contract_file.name else BUILT_IN)
    else:
        rows = [row for row in list_columns() if table in (None, row["table"])]
    echo(json.dumps(rows, indent=2, ensure_ascii=False) if form == "json" else _as_markdown(rows))


def _as_markdown(rows: list[dict[str, str]]) -> str:
    lines = []
    for table in dict.fromkeys(row["table"] for row in rows):
        of_table = [
            {name: text for name, text in row.items() if name != "table"} for row in rows if row["table"] == table
        ]
        header = list(of_table[0])
        lines += [f"## {table}", "", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
        lines += [f"| {' | '.join(row.values())} |" for row in of_table] + [""]
    return "\n".join(lines).rstrip()


@click.command("contract")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--from-redcap",
    "dictionary",
    type=click.Path(path_type=Path),
    metavar="DICTIONARY.csv",
    help="Draft a contract from the data dictionary of a REDCap project.",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File for the draft. Default: printed.")
def check_contract(file: Path | None, dictionary: Path | None, out: Path | None) -> None:
    """Check FILE, a contract.yaml, or draft one.

    A contract lies beside the mapping and declares what a registry has beside what is built in: instruments,
    predictors, techniques, indications and outcomes. Nothing built in can be declared again. `paincast ingest` reads
    it; from then on it travels with the cohort, its models and their predictions.

    \b
    Examples:
      paincast contract --from-redcap dictionary.csv -o contract.yaml
      paincast contract contract.yaml
      paincast schema --contract contract.yaml
    """  # noqa: D301
    if (file is None) == (dictionary is None):
        raise click.UsageError("give FILE to check it, or --from-redcap DICTIONARY.csv to draft one")
    if dictionary is not None:
        _draft(dictionary, out)
        return
    if out is not None:
        raise click.UsageError("-o is for a draft: --from-redcap DICTIONARY.csv")
    from paincast.contract import BUILT_IN, load_contract

    assert file is not None
    contract = load_contract(file)
    echo(f"{contract.name}: valid, digest {contract.digest}")
    for what, names in {
        "columns": contract.own_columns,
        "techniques": tuple(contract.own_techniques),
        "indications": tuple(contract.own_indications),
        "outcomes": tuple(
            name for name, outcome in contract.outcomes.items() if BUILT_IN.outcomes.get(name) != outcome
        ),
    }.items():
        echo(f"  {what}: {', '.join(names) or 'none'}")


def _draft(dictionary: Path, out: Path | None) -> None:
    from paincast.cohort.registry.suggestion import recognize_fields
    from paincast.contract.drafting import draft_contract
    from paincast.files import atomic_file
    from paincast.files.redcap_dictionary import read_dictionary

    text = draft_contract(dictionary.stem, read_dictionary(dictionary), built_in=recognize_fields(dictionary))
    if out is None:
        echo(text, nl=False)
        return
    with atomic_file(out) as draft:
        draft.write_text(text, encoding="utf-8")
    echo(f"written: {out}; edit it, then: paincast contract {out}")


@click.command("settings")
@click.argument("name", required=False)
def print_settings(name: str | None) -> None:
    """List the settings of `paincast train` with defaults, allowed values and meaning.

    NAME is a group or a setting; without NAME, all settings are listed.

    \b
    Examples:
      paincast settings                        every setting
      paincast settings evaluation             one group
      paincast settings evaluation.folds       one setting
    """  # noqa: D301
    import pandas as pd

    from paincast.settings import TrainingSettings, list_settings
    from paincast.settings.declare import describe_type, show_default
    from paincast.settings.keywords import unknown_setting

    declared = list(list_settings(TrainingSettings))
    chosen = [item for item in declared if name is None or item.name == name or item.name.startswith(f"{name}.")]
    if name is not None and not chosen:
        raise unknown_setting(name)
    rows = []
    for setting in chosen:
        default = show_default(setting.default)
        rows.append(
            {
                "setting": setting.name,
                "type": describe_type(setting.type),
                "default": default if len(default) <= LONGEST_DEFAULT else f"{len(setting.default)} items",
                "allowed": setting.range,
                "meaning": setting.meaning,
            }
        )
    print_table(pd.DataFrame(rows))
