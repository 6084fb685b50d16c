"""Hand malformed declarations and damaged state to the commands: an answer or one line of error, and in bounded time.

``python benchmarks/fuzz_declared.py --each 60`` changes 60 files of each kind: mappings, contracts, data dictionaries,
gates, settings, studies, keys, the folders of a cohort and of models, the parts of a batch that ended early, single
patients, names of files. A crash ends a worker and is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from fuzz_declared_made import CONTRACT, DICTIONARY, GATE, SETTINGS, STUDY, change_json_file, change_key, change_yaml
from fuzz_files_made import change_bytes
from fuzz_ingest import MAPPINGS, find_mark, make_export
from fuzz_ingest_made import VALUES, change_tree
from fuzz_workers import add_options, find_fault, name_error, run_command, run_kinds, work

FIRST = "first"
"""Folder of what files are changed from, beside that of a changed file."""

BUNDLES = Path(__file__).resolve().parents[1] / "tests" / "golden" / "bundles"
Judge = Callable[[Path, random.Random], str]


def run(*arguments: object, allows_marks: bool = True) -> str:
    """Run a command; say what came of it."""
    code, told = run_command(list(map(str, arguments)))
    if fault := find_fault(code, told) or ("" if allows_marks else find_mark(told)):
        return fault
    return name_error(told) if code == 2 else "rejects" if code == 3 else "done"


def call(function: Callable[[], object], *, allows_marks: bool = True) -> str:
    """Call a function that no command reaches alone; say what came of it."""
    from paincast.errors import PaincastError

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "left out before predicting")
        try:
            function()
        except PaincastError as error:
            return ("" if allows_marks else find_mark(str(error))) or f"error [{error.code}]"
    return "done"


def change_mapping(name: str) -> Judge:
    def judge(folder: Path, rng: random.Random) -> str:
        files = make_export(name, "", folder, random.Random(0), 0)
        mapping = folder / "mapping.yaml"
        mapping.write_bytes(change_yaml(MAPPINGS[name], rng))
        return run("ingest", mapping, *files, "-o", folder / "out", "--max-rejects", 1)

    return judge


def change_contract(folder: Path, rng: random.Random) -> str:
    file = folder / "contract.yaml"
    file.write_bytes(change_yaml(CONTRACT, rng))
    if rng.random() < 0.5:
        return run("contract", file)
    if rng.random() < 0.5:
        return run("schema", "--contract", file)
    (folder / "mapping.yaml").write_text(MAPPINGS["plain"])
    return run("ingest", folder / "mapping.yaml", *make_export("plain", "", folder, rng, 0), "-o", folder / "out")


def change_dictionary(folder: Path, rng: random.Random) -> str:
    file = folder / "dictionary.csv"
    file.write_text(DICTIONARY, encoding="utf-8")
    change_bytes(file, rng)
    drafted = folder / "contract.yaml"
    told = run("contract", "--from-redcap", file, "-o", drafted)
    return told if told != "done" or is_yaml(drafted) else f"DRAFT {drafted.read_text('utf-8')[:300]!r}"


def is_yaml(file: Path) -> bool:
    """Whether a draft can be read again, however incomplete it is."""
    from paincast.errors import SettingsError
    from paincast.files.bounded import read_yaml_text

    try:
        read_yaml_text(file)
    except SettingsError:
        return False
    return True


def change_gate(folder: Path, rng: random.Random) -> str:
    import paincast.cli.registry as commands
    import paincast.tracking
    from paincast.errors import RefusalError

    def promote(*_: object, **__: object) -> None:
        raise RefusalError("read", code="read")

    commands.find_store, paincast.tracking.promote = lambda *_: None, promote
    file = folder / "gate.yaml"
    file.write_bytes(change_yaml(GATE, rng))
    return run("promote", "nothing", "--gate", file)


def change_settings(folder: Path, rng: random.Random) -> str:
    import paincast.cli.model as commands

    commands._train_once = lambda *_: None
    (folder / "experiment").mkdir()
    (folder / "experiment" / "own.yaml").write_bytes(change_yaml(SETTINGS, rng))
    return run("train", "--config-dir", folder, "experiment=own", f"hydra.run.dir={folder / 'hydra'}")


def change_study(folder: Path, rng: random.Random) -> str:
    """Read a study; what follows from it takes a minute."""
    from paincast.evidence.synthesis.computed_file import read_studies

    file = folder / "study.yaml"
    file.write_bytes(change_yaml(STUDY, rng))
    return call(lambda: read_studies([file]))


def change_keys(folder: Path, rng: random.Random) -> str:
    first = folder.parent / FIRST
    file, (private, public) = folder / "key.pem", make_keys()
    if rng.random() < 0.5:
        file.write_bytes(change_key(public, rng))
        return run(*predict(first, folder / "out.csv"), "--trusted-keys", file)
    from paincast.predictor.bundle.keys import read_signing_key

    file.write_bytes(change_key(private, rng))
    file.chmod(0o600)
    return call(lambda: read_signing_key(file))


def make_keys() -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return private, key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def predict(first: Path, out: Path, source: Path | None = None) -> list[object]:
    return ["predict", source or first / "patients.csv", "-o", out, "--models", first / "prior", "--no-progress"]


def change_cohort(folder: Path, rng: random.Random) -> str:
    first = folder.parent / FIRST
    cohort = folder / "cohort"
    shutil.copytree(first / "cohort", cohort)
    file = rng.choice([path for path in sorted(cohort.iterdir()) if rng.random() < 0.3 or path.suffix != ".csv"])
    if file.suffix == ".json" and rng.random() < 0.7:
        change_json_file(file, rng)
    else:
        change_bytes(file, rng)
    return run("profile", cohort, "-o", folder / "page.html", allows_marks=file.suffix == ".json")


def change_models(folder: Path, rng: random.Random) -> str:
    first = folder.parent / FIRST
    models = folder / "models"
    shutil.copytree(first / "prior", models)
    file = rng.choice(sorted(path for path in models.rglob("*") if path.is_file() and path.name != "bundle.json"))
    if file.suffix == ".json" and rng.random() < 0.7:
        change_json_file(file, rng)
    else:
        change_bytes(file, rng)
    return run("predict", first / "patients.csv", "-o", folder / "out.csv", "--models", models, "--no-progress")


def change_parts(folder: Path, rng: random.Random) -> str:
    """Damage what a batch that ended early has left, and go on with it: the same output, or a line of error."""
    first = folder.parent / FIRST
    state, suffix = folder / "state", rng.choice(["csv", "parquet"])
    shutil.copytree(first / suffix, state)
    parts = state / f".out.{suffix}.parts"
    file = rng.choice(sorted(path for path in parts.iterdir() if path.name != "lock"))
    how = rng.random()
    if how < 0.1:
        file.unlink()
    elif how < 0.2:
        file.unlink()
        rng.choice([file.mkdir, lambda: file.symlink_to(file.name), lambda: os.mkfifo(file)])()
    elif file.name == "plan.json" and how < 0.7:
        change_json_file(file, rng)
    elif file.suffix in (".json", ".jsonl") and how < 0.7:
        lines = file.read_text("utf-8").splitlines()
        at = rng.randrange(len(lines))
        digest, _, plain = lines[at].partition(" ")
        lines[at] = f"{digest} {json.dumps(change_tree(json.loads(plain), rng, VALUES))}"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        change_bytes(file, rng)
    out = state / f"out.{suffix}"
    told = run(*predict(first, out, first / "many.csv"), "--resume", allows_marks=False)
    expected = first / "undisturbed" / f"out.{suffix}"
    if told in ("done", "rejects") and out.read_bytes() != expected.read_bytes():
        return f"OTHER OUTPUT {file.name}"
    return told


def change_patient(folder: Path, rng: random.Random) -> str:
    """Predict for a patient given as a dict."""
    first = folder.parent / FIRST
    import paincast

    patient = pd.read_csv(first / "patients.csv", dtype="str", keep_default_na=False).iloc[0].to_dict()
    patient = change_tree({**patient, "age_years": 60, "odi": 40.0}, rng, VALUES)
    given = rng.choice([patient, [patient, dict(patient)]])
    return call(lambda: paincast.predict(given, first / "prior"), allows_marks=False)


def change_names(folder: Path, rng: random.Random) -> str:
    """Give files and folders odd names."""
    first = folder.parent / FIRST
    odd = rng.choice(["a\nb", "a\x1b[31mb", "a\u202eb", "a\rb", "a\udcffb", "a\x9bb", "a\tb", "-a", "a'b\"", "a;$(x)b"])
    place = folder / odd
    place.mkdir()
    source, mapping = place / f"{odd}.csv", place / f"{odd}.yaml"
    how = rng.randrange(8)
    if how < 2:
        shutil.copy(first / "patients.csv", source)
        return run(*predict(first, place / f"{odd}.csv.out.csv" if how else place / f"{odd}.txt", source))
    if how == 2:
        return run(*predict(first, place / "out.csv", source))
    mapping.write_text(MAPPINGS["plain"] if how < 6 else CONTRACT, encoding="utf-8")
    make_export("plain", "", folder, random.Random(0), 0)[0].rename(source)
    if how < 5:
        return run("ingest", mapping, source, "-o", place / f"{odd}.out", *(["--max-rejects", 1] if how == 3 else []))
    if how == 5:
        return run("ingest", "--suggest", source, "-o", place / f"{odd}.draft.yaml")
    return run("contract", mapping if how == 6 else source)


KINDS: dict[str, Judge] = {
    **{f"mapping-{name}": change_mapping(name) for name in MAPPINGS},
    **{"contract": change_contract, "dictionary": change_dictionary, "gate": change_gate, "settings": change_settings},
    **{"study": change_study, "keys": change_keys, "cohort": change_cohort, "models": change_models},
    **{"parts": change_parts, "patient": change_patient, "names": change_names},
}
UNFINISHED = """
import os, sys
from paincast.cli.app import run
from paincast.serving.batch import run as batch
from paincast.serving.batch.parts import PartsFolder
batch.predict_file.__kwdefaults__.update(chunk_rows=10, part_rows=20)
if sys.argv[1] == "stop":
    finish = PartsFolder.finish_part
    def then_stop(folder, files, **facts):
        part = finish(folder, files, **facts)
        if len(folder.finished) == 3:
            os._exit(9)
        return part
    PartsFolder.finish_part = then_stop
sys.exit(run(sys.argv[2:]))
"""


def prepare(first: Path, kind: str) -> None:
    """Make what the files of a kind are changed from."""
    with zipfile.ZipFile(BUNDLES / "format2_prior.zip") as archive:
        archive.extractall(first, [name for name in archive.namelist() if name.startswith("prior/")])
    patients = pd.read_csv(BUNDLES / "patients.csv", dtype="str", keep_default_na=False)
    patients.head(4).to_csv(first / "patients.csv", index=False)
    if kind == "cohort":
        (first / "in").mkdir()
        (first / "mapping.yaml").write_text(MAPPINGS["plain"], encoding="utf-8")
        files = make_export("plain", "", first / "in", random.Random(0), 0)
        assert run("ingest", first / "mapping.yaml", *files, "-o", first / "cohort") == "done"
    if kind == "models":
        make_models(first / "prior")
    if kind == "parts":
        many = pd.concat([patients.head(50)] * 3, ignore_index=True)
        many.assign(episode_id=[f"e{at}" for at in range(len(many))]).to_csv(first / "many.csv", index=False)
        for suffix in ("csv", "parquet"):
            for how, place in (("go", "undisturbed"), ("stop", suffix)):
                (first / place).mkdir(exist_ok=True)
                command = predict(first, first / place / f"out.{suffix}", first / "many.csv")
                subprocess.run(
                    [sys.executable, "-c", UNFINISHED, how, *map(str, command)], capture_output=True, check=False
                )
            assert (first / suffix / f".out.{suffix}.parts" / "manifest.jsonl").exists()


def make_models(folder: Path) -> None:
    """Put beside a bundle what training, signing and validation put there; ``bundle.json`` has a fuzzer of its own."""
    from paincast.models_folder import record_training
    from paincast.predictor import load_predictor, save_predictor
    from paincast.predictor.bundle.keys import read_signing_key
    from paincast.predictor.bundle.signature import sign_bundle
    from paincast.predictor.validation import Validation, record_validation

    place = folder / "facet_rfa" / "pain_response"
    model = load_predictor(place)
    save_predictor(model, place)
    key = folder.parent / "private.pem"
    key.write_bytes(make_keys()[0])
    key.chmod(0o600)
    sign_bundle(place, read_signing_key(key))
    found = Validation(cohort="a", content="0" * 64, n=60, o_e=1.0, lower=0.9, upper=1.1, contradicts=False)
    record_validation(place, model.version, found)
    record_training(folder, {"facet_rfa.pain_response": model}, ["facet_rfa.pain_change"])


def main() -> int:
    """Run a worker for each kind, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, each=60)
    given = parser.parse_args()
    if not given.worker:
        kinds = [kind for kind in KINDS if given.only in kind]
        return run_kinds(__file__, kinds, ["--seed", str(given.seed)], given.each)
    kind, start = given.worker[0], int(given.worker[1])
    with tempfile.TemporaryDirectory() as scratch:
        first = Path(scratch, FIRST)
        first.mkdir()
        prepare(first, kind)
        if kind == "parts":
            from paincast.serving.batch import predict_file

            predict_file.__kwdefaults__.update(chunk_rows=10, part_rows=20)

        def judge(number: int) -> tuple[int, str]:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                return 0, KINDS[kind](Path(folder), random.Random(f"{kind} {given.seed} {number}"))

        work(judge, given.each, start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
