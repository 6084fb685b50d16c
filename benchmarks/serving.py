"""Time batch prediction beside peers that do less: scikit-learn, XGBoost and pyarrow on the same file.

Run with: OMP_NUM_THREADS=1 python benchmarks/serving.py FOLDER [rows] [rounds] [claim ...]

FOLDER holds what is made once: patients, models and outputs. Each measurement is a process of its own; peers and
paincast alternate, and medians of the rounds are printed: seconds of the processor (which count), of the clock, rows
per second of the processor, and the peak of the memory. Imports and machine code that is loaded are part of it.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

COLUMNS = 76
TECHNIQUE = "facet_rfa"
CLAIMS = ("linear", "probability", "nasty", "csv", "ingest", "trees", "memory", "one", "twelve")
CHUNK = 65_536
ERRORS = {"patients": None, "nasty": 0.0002, "rejected": 0.18}
"""Share of the numbers out of their range, by kind of file."""


def make_patients(path: Path, n: int, *, errors: float | None = None) -> None:
    """Make patients from a simulated cohort: 76 columns, with continuous values, gaps and errors if there are any."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from paincast.schema import EPISODES
    from paincast.simulator import simulate_cohort

    rng = np.random.default_rng(3)
    simulated = simulate_cohort(techniques=[TECHNIQUE], episodes_per_technique=20_000, seed=5)[0].episodes
    table = simulated[[name for name in simulated if simulated[name].notna().any()]].copy()
    for name, column in EPISODES.items():
        if table.shape[1] >= COLUMNS:
            break
        if name in table or column.role == "technique" or column.type == "text":
            continue
        if column.type == "boolean":
            table[name] = pd.array(rng.random(len(table)) < 0.03, dtype="boolean")
        elif column.type == "category":
            table[name] = rng.choice(list(column.categories), len(table))
        else:
            table[name] = np.round(rng.uniform(column.low or 0.0, column.high or 100.0, len(table)))
    writer = None
    for start in range(0, n, len(table)):
        part = table.sample(min(len(table), n - start), random_state=start).reset_index(drop=True)
        if errors is not None:
            part = spoil(part, rng, errors)
        numbers = range(start, start + len(part))
        episodes, patients = [f"E{i:09d}" for i in numbers], [f"P{i // 2:09d}" for i in numbers]
        part = part.assign(episode_id=episodes, patient_id=patients)
        arrow = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata()
        kept = [pa.string() if pa.types.is_large_string(field.type) else field.type for field in arrow.schema]
        arrow = arrow.cast(pa.schema(list(zip(arrow.column_names, kept, strict=True))))
        writer = writer or pq.ParquetWriter(path, arrow.schema)
        writer.write_table(arrow)
    writer.close()


def spoil(part, rng, errors):
    """Make numbers continuous, empty 3 % of all cells and put a share of the numbers out of their range."""
    import numpy as np

    from paincast.schema import EPISODES

    for name in part.columns:
        column = EPISODES[name]
        if name in ("episode_id", "patient_id", "indication", "technique"):
            continue
        if column.type == "number":
            low, high = column.low or 0.0, column.high or 1e6
            values = part[name].to_numpy(float) + rng.normal(0, 0.01, len(part)) * (high - low) / 100
            part[name] = np.clip(values, low, high)
            part.loc[rng.random(len(part)) < errors, name] = high * 2 + 1
        part.loc[rng.random(len(part)) < 0.03, name] = None
    return part


def prepare_file(folder: Path, kind: str, n: int) -> Path:
    """Make a file of patients if it is missing: ``patients`` or ``nasty``, ``rejected`` (9 rejects a row), ``csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"patients-{n}.csv" if kind == "csv" else f"{kind}-{n}.parquet")
    if path.exists():
        return path
    if kind != "csv":
        make_patients(path, n, errors=ERRORS[kind])
        return path
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    patients = pq.ParquetFile(prepare_file(folder, "patients", n))
    with pc.CSVWriter(path, patients.schema_arrow) as writer:
        for batch in patients.iter_batches(CHUNK):
            writer.write_batch(batch)
    return path


def prepare_models(folder: Path) -> None:
    """Train the models that are missing, and fit their peers."""
    everything = ["tracking=off", "progress=false"]
    one = [*everything, f"technique={TECHNIQUE}", "cohort.rehearse=true"]
    trees = [*one, "model=xgboost", "model.prior=false"]
    for name, settings in (("linear", one), ("trees", trees), ("all", everything)):
        if not (folder / name).exists():
            run = [sys.executable, "-m", "paincast", "train", *settings, f"models_folder={folder / name}"]
            subprocess.run(run, check=True, capture_output=True)
    for kind in ("logistic", "trees"):
        if not (folder / f"peer_{kind}.joblib").exists():
            fit_peer(folder, kind)


def fit_peer(folder: Path, kind: str) -> None:
    """Fit a plain pipeline of scikit-learn on the columns that the model of paincast uses."""
    import joblib
    import numpy as np
    import pyarrow.parquet as pq
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer
    from sklearn.frozen import FrozenEstimator
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from xgboost import XGBClassifier

    from paincast.predictor import load_predictor

    model = load_predictor(folder / "linear" / TECHNIQUE / "pain_response")
    variables = [variable for variable in model.response.encoder.variables_ if variable.varies]
    numbers = [variable.name for variable in variables if variable.kind != "category"]
    texts = [variable.name for variable in variables if variable.kind == "category"]
    head = pq.ParquetFile(prepare_file(folder, "patients", 100_000)).read_row_group(0).to_pandas().head(20_000)
    outcome = np.random.default_rng(1).random(len(head)) < 0.5
    steps = [("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers)]
    steps.append(("texts", OneHotEncoder(handle_unknown="ignore"), texts))
    rows = head[numbers + texts].astype(dict.fromkeys(numbers, "float64"))
    if kind == "logistic":
        peer = make_pipeline(ColumnTransformer(steps), LogisticRegression(max_iter=500)).fit(rows, outcome)
    else:
        trees = XGBClassifier(n_estimators=300, max_depth=4, n_jobs=1)
        fitted = make_pipeline(ColumnTransformer(steps), trees).fit(rows, outcome)
        peer = CalibratedClassifierCV(FrozenEstimator(fitted), method="sigmoid").fit(rows, outcome)
    joblib.dump((peer, numbers, texts), folder / f"peer_{kind}.joblib")


def run_peer(folder: Path, file: Path, kind: str) -> int:
    """Score a file by a plain pipeline and write ids and probabilities: no checks, intervals, words or reasons."""
    import joblib
    import pyarrow as pa
    import pyarrow.parquet as pq

    peer, numbers, texts = joblib.load(folder / f"peer_{kind}.joblib")
    n, writer = 0, None
    for batch in pq.ParquetFile(file).iter_batches(CHUNK, columns=["episode_id", *numbers, *texts], use_threads=False):
        rows = batch.to_pandas()
        told = peer.predict_proba(rows[numbers + texts].astype(dict.fromkeys(numbers, "float64")))[:, 1]
        out = pa.table({"episode_id": batch["episode_id"], "probability": told})
        writer = writer or pq.ParquetWriter(folder / "peer.parquet", out.schema)
        writer.write_table(out)
        n += len(rows)
    writer.close()
    return n


def copy_file(folder: Path, file: Path) -> int:
    """Read all columns and write them again, by pyarrow alone."""
    import pyarrow.parquet as pq

    opened, n = pq.ParquetFile(file), 0
    with pq.ParquetWriter(folder / "copy.parquet", opened.schema_arrow) as writer:
        for batch in opened.iter_batches(CHUNK, use_threads=False):
            writer.write_batch(batch)
            n += batch.num_rows
    return n


def read_csv(file: Path) -> int:
    """Read a CSV file block by block, by pyarrow alone."""
    import pyarrow.csv as pc

    options = pc.ReadOptions(use_threads=False, block_size=16 << 20)
    return sum(batch.num_rows for batch in pc.open_csv(file, read_options=options))


def read_whole_csv(file: Path) -> int:
    """Read a CSV file as one table, by pyarrow alone."""
    import pyarrow.csv as pc

    return pc.read_csv(file, read_options=pc.ReadOptions(use_threads=False)).num_rows


def ingest(folder: Path, file: Path) -> int:
    """Ingest the export of a registry into the folder of a cohort."""
    from paincast.cohort.registry.ingestion import ingest_to_folder

    return ingest_to_folder(file, file.with_suffix(".yaml"), folder / "cohort", max_rejects=0.05).n_episodes


def predict(folder: Path, file: Path, model: str, **options: object) -> int:
    """Predict a file by paincast."""
    from paincast.serving.batch import predict_file

    return predict_file(file, folder / "out.parquet", models=folder / model, **options).n_patients


def show_xgboost(folder: Path, file: Path) -> int:
    """Compute SHAP values of 300 trees by xgboost itself, and nothing else."""
    import joblib
    import pyarrow.parquet as pq
    import xgboost

    peer, numbers, texts = joblib.load(folder / "peer_trees.joblib")
    pipeline, n = peer.calibrated_classifiers_[0].estimator.estimator, 0
    for batch in pq.ParquetFile(file).iter_batches(CHUNK, columns=[*numbers, *texts], use_threads=False):
        rows = batch.to_pandas().astype(dict.fromkeys(numbers, "float64"))
        matrix = xgboost.DMatrix(pipeline[:-1].transform(rows))
        pipeline[-1].get_booster().predict(matrix, pred_contribs=True)
        n += len(rows)
    return n


def list_runs(folder: Path, n: int, claim: str) -> dict[str, tuple[object, ...]]:
    """List what is measured for a claim: paincast first, then its peers."""
    file = prepare_file(folder, {"nasty": "nasty", "csv": "csv"}.get(claim, "patients"), n)
    logistic = {"scikit-learn logistic": ("run_peer", file, "logistic")}
    if claim == "probability":
        alone = {"interval": False, "explain": 0}
        return {"paincast, probability alone": ("predict", file, "linear", alone), **logistic}
    if claim == "csv":
        return {"paincast, CSV to Parquet": ("predict", file, "linear"), "pyarrow.csv reading": ("read_csv", file)}
    if claim == "ingest":
        from registry_file import prepare_export

        export = prepare_export(folder, n)
        return {
            "paincast, CSV to cohort": ("ingest", export),
            "pyarrow.csv reading the whole": ("read_whole_csv", export),
        }
    if claim == "trees":
        return {
            "paincast, interval, no reasons": ("predict", file, "trees", {"explain": 0}),
            "paincast, all columns": ("predict", file, "trees"),
            "scikit-learn, XGBoost, calibrator": ("run_peer", file, "trees"),
            "xgboost's own SHAP": ("show_xgboost", file),
        }
    if claim == "twelve":
        return {
            "paincast, one technique": ("predict", file, "linear"),
            "paincast, all models, those that fit": ("predict", file, "all"),
        }
    return {
        "paincast, all columns": ("predict", file, "linear"),
        **logistic,
        "pyarrow read and write": ("copy_file", file),
    }


def measure(folder: Path, run: tuple[object, ...]) -> dict[str, float]:
    """Measure one run in a process of its own."""
    name, *arguments = run
    options = arguments.pop() if isinstance(arguments[-1], dict) else {}
    what = json.dumps([name, [str(item) for item in arguments], options])
    command = [sys.executable, __file__, "--run", str(folder), what]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(told.stdout.strip().splitlines()[-1])


def run_one(folder: Path, what: str) -> None:
    """Run one measurement and print it as JSON."""
    name, arguments, options = json.loads(what)
    given = [Path(item) if "/" in item else item for item in arguments]
    clock = time.perf_counter()
    function = globals()[name]
    n = function(*given) if name in ("read_csv", "read_whole_csv") else function(folder, *given, **options)
    used = resource.getrusage(resource.RUSAGE_SELF)
    facts = {"rows": n, "cpu": used.ru_utime + used.ru_stime, "clock": time.perf_counter() - clock}
    print(json.dumps({**facts, "peak": used.ru_maxrss / 1024}))


def compare(folder: Path, n: int, rounds: int, claim: str) -> None:
    """Print the medians of alternating runs, and the ratio of paincast to each peer."""
    runs = list_runs(folder, n, claim)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(measure(folder, run))
    print(f"\n{claim}: {n:,} rows")
    speeds = {}
    for name, measured in found.items():
        cpu, clock, peak = (statistics.median(one[fact] for one in measured) for fact in ("cpu", "clock", "peak"))
        speeds[name] = measured[0]["rows"] / cpu
        print(f"  {name:40} {cpu:8.2f} s cpu {clock:8.2f} s clock {speeds[name]:10,.0f} rows/s cpu {peak:6.0f} MiB")
    first, *others = speeds
    for other in others:
        print(f"  {first} / {other}: {speeds[first] / speeds[other]:.2f}")


ONE_PATIENT = {"age_years": 55, "sex": "female", "indication": "lumbar_facet", "pain_nrs": 7, "odi": 40}
COLD_RUNS, WARM_RUNS = 20, 40


def time_one_patient(folder: Path) -> None:
    """Time one patient by all models, in seconds of the processor: in this process, and in new ones."""
    import warnings

    import pandas as pd

    from paincast.serving.predict import load_models
    from paincast.serving.predict import predict as predict_patients

    warnings.simplefilter("ignore")
    pd.DataFrame([ONE_PATIENT]).to_csv(folder / "one.csv", index=False)
    models = load_models(folder / "all")
    print(f"\none patient, {len(models)} models: medians of processor seconds")
    for name, vary in (("the same patient again", 0), ("each time another patient", 1)):
        times = []
        for number in range(WARM_RUNS + 1):
            patient = {**ONE_PATIENT, "age_years": 55 + vary * number % 30, "odi": 40 + vary * (7 * number) % 50}
            start = time.process_time()
            predict_patients(patient, models, techniques="all")
            times.append(time.process_time() - start)
        print(f"  in process, {name:28} {1e3 * statistics.median(times[1:]):7.1f} ms")
    function = f"import paincast\npaincast.predict({ONE_PATIENT!r}, {str(folder / 'all')!r}, techniques='all')"
    command = ["predict", str(folder / "one.csv"), "-o", str(folder / "one.out.csv"), "--models", str(folder / "all")]
    program = [sys.executable, "-W", "ignore"]
    cold = {
        "paincast predict, CSV to CSV": [*program, "-m", "paincast", *command, "--techniques", "all"],
        "paincast.predict, which gives a data frame": [*program, "-c", function],
        "import pandas alone": [*program, "-c", "import pandas"],
    }
    measured: dict[str, list[float]] = {name: [] for name in cold}
    for _ in range(COLD_RUNS):
        for name, run in cold.items():
            measured[name].append(_measure_child(run))
    for name, seconds in measured.items():
        print(f"  new process, {name:44} {statistics.median(seconds):7.3f} s (least {min(seconds):.3f})")


def _measure_child(command: list[str]) -> float:
    """Measure the processor seconds of a command, with its byte code compiled."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def watch_memory(folder: Path, n: int) -> None:
    """Print the peak of the memory by the number of rows, up to n; with 9 rejects a row up to a tenth of n."""
    print("\nmemory")
    for kind, most in (("patients", n), ("nasty", n), ("rejected", n // 10)):
        for size in (size for size in (10**5, 10**6, 10**7) if size <= most):
            measured = measure(folder, ("predict", prepare_file(folder, kind, size), "linear"))
            speed = measured["rows"] / measured["cpu"]
            print(f"  {kind:10} {size:12,} rows {measured['peak']:6.0f} MiB {speed:10,.0f} rows/s cpu")


def watch_ingestion(folder: Path, n: int) -> None:
    """Print the peak of the memory of an ingestion, of a quarter of the rows to their double."""
    from registry_file import prepare_export

    for size in (n // 4, n, 2 * n):
        measured = measure(folder, ("ingest", prepare_export(folder, size)))
        print(f"  ingest {size:12,} rows {measured['peak']:6.0f} MiB")


def main() -> None:
    """Measure the claims that are named; all of them by default."""
    if sys.argv[1] == "--run":
        run_one(Path(sys.argv[2]), sys.argv[3])
        return
    folder = Path(sys.argv[1])
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    claims = sys.argv[4:] or CLAIMS
    if set(claims) - {"ingest"}:
        prepare_models(folder)
    for claim in claims:
        if claim == "one":
            time_one_patient(folder)
        elif claim == "memory":
            watch_memory(folder, n)
        else:
            if claim == "ingest":
                watch_ingestion(folder, n)
            compare(folder, n, rounds, claim)


if __name__ == "__main__":
    main()
