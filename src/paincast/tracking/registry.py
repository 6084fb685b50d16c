"""Promote registered models to champion through a gate, roll back, and keep the history."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.errors import DataError, RefusalError
from paincast.gates import GateVerdict, gate
from paincast.gates.use import CHAMPION, PROMOTED_USE, name_registered_by, verify_contents
from paincast.predictor import MANIFEST, load_predictor
from paincast.predictor.bundle import SIGNATURE, SIGNATURE_TAG, SigningKey, read_files, read_signing_key, sign_files
from paincast.schema import RESEARCH_MARK
from paincast.settings import GateSettings
from paincast.tracking.gate_evidence import name_verdict_table, read_gate_evidence, tag_verdict
from paincast.tracking.store import CROWNING, Store, hold_lock
from paincast.tracking.versions import find_version, get_run, require_model, use_registry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

HISTORY = "former_champions"
"""Tag of a registered model: its former champions as a JSON list of versions, the latest last."""

CHAMPION_USE = "champion_use"
"""Tag of a registered model: what its champion may be used for."""

LOGGED = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})/?")
BUNDLE_PLACE = "artifacts/bundle"
"""Folder of the bundle among the files of a logged model."""

PROMOTED = "Promoted to champion on "
LONGEST_DESCRIPTION = 5000
"""Length of a description that MLflow's registry keeps on every database."""


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """Result of a request for promotion.

    Parameters
    ----------
    model_name : str
        Name in the registry.
    version : int
        The version that was judged.
    former : int or None
        The former champion; None if there was none.
    verdict : GateVerdict
        Verdict of the gate. If it did not pass, nothing was changed.
    signed_by : str
        Name of the key that signed the version; empty if none did.
    """

    model_name: str
    version: int
    former: int | None
    verdict: GateVerdict
    signed_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Result of a rollback.

    Parameters
    ----------
    model_name : str
        Name in the registry.
    demoted, restored : int
        The version that was champion, and the version that is champion again.
    use : str
        Use mark of the restored champion; empty if its gate allowed use in care.
    """

    model_name: str
    demoted: int
    restored: int
    use: str


def promote(store: Store, source: str, criteria: GateSettings, *, signing_key: str | Path | None = None) -> Promotion:
    """Make a registered version the champion if its evidence passes a gate.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    source : str
        Id of a run, ``NAME/VERSION`` or ``NAME@ALIAS``; the latter two may start with ``models:/``.
    criteria : GateSettings
        The gate.
    signing_key : str or Path, optional
        PEM file of the private key (Ed25519) that signs a model which passes.

    Returns
    -------
    Promotion
        If the verdict did not pass, nothing was changed.

    Raises
    ------
    DataError
        If there is no such version, or its bundle is not the bundle that its run logged.
    SettingsError
        If the key cannot be read, or others can read it.
    OutputError
        If the store cannot be used.
    """
    key = None if signing_key is None else read_signing_key(signing_key)
    with use_registry(store) as client, hold_lock(store, CROWNING):
        version = find_version(client, source)
        run = _find_run(client, version)
        signature = _check_bundle(version, run, key)
        verdict = gate(read_gate_evidence(client, run, version.tags), criteria)
        former = _find_champion(client, version.name)
        if verdict.passed:
            if signature:
                _record_signature(client, version, signature)
            _record_promotion(client, version, run, verdict)
            if former is not None and former != int(version.version):
                _write_history(client, version.name, [*_read_history(client, version.name), former])
            _crown(client, version, verdict.mark)
            if former is not None and former != int(version.version):
                _withdraw_use(client, version.name, former)
    signed_by = key.name if key is not None and verdict.passed else ""
    return Promotion(
        model_name=version.name, version=int(version.version), former=former, verdict=verdict, signed_by=signed_by
    )


def roll_back(store: Store, model_name: str) -> Rollback:
    """Make the previous champion the champion again.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    model_name : str
        Name in the registry.

    Returns
    -------
    Rollback

    Raises
    ------
    DataError
        If there is no such model, the former champion was deleted, or its bundle is not the bundle that its run logged.
    RefusalError
        If the model has no champion, or no former champion.
    OutputError
        If the store cannot be used.
    """
    with use_registry(store) as client, hold_lock(store, CROWNING):
        require_model(client, model_name)
        demoted = _find_champion(client, model_name)
        if demoted is None:
            raise RefusalError(
                f"{model_name} has no champion; nothing was changed. 'paincast promote' makes one",
                code="PC-TRACKING-03",
            )
        # An interrupted promotion leaves the champion itself as the last entry.
        history = _read_history(client, model_name)
        while history and history[-1] == demoted:
            history.pop()
        if not history:
            raise RefusalError(
                f"{model_name} has had no champion before version {demoted}, so there is nothing to go back to; "
                "nothing was changed",
                code="PC-TRACKING-04",
            )
        restored = find_version(client, f"{model_name}/{history[-1]}")
        _check_bundle(restored, _find_run(client, restored))
        use = _read_promoted_use(restored)
        _tag_both(client, restored, {"use": use})
        _crown(client, restored, use)
        _write_history(client, model_name, history[:-1])
        _withdraw_use(client, model_name, demoted)
        client.set_model_version_tag(model_name, str(demoted), "rolled_back_at", _format_now())
    return Rollback(model_name=model_name, demoted=demoted, restored=int(restored.version), use=use)


def _find_run(client: MlflowClient, version: ModelVersion) -> Run:
    """Find the run that made a version, and check that it belongs to this model."""
    if not version.run_id:
        raise DataError(
            f"{version.name} version {version.version} was registered without a run, which holds its evidence",
            code="PC-TRACKING-05",
        )
    run = get_run(client, version.run_id)
    tags = run.data.tags
    made = name_registered_by(tags)
    if made != version.name:
        raise DataError(
            f"{version.name} version {version.version} comes from a run of {made}: its evidence is another's",
            code="PC-TRACKING-06",
        )
    return run


def _check_bundle(version: ModelVersion, run: Run, key: SigningKey | None = None) -> str:
    """Download the bundle of a version, check that it is the bundle that its run logged, and sign it with a key."""
    import mlflow

    name, address = f"{version.name} version {version.version}", f"models:/{version.name}/{version.version}"
    with tempfile.TemporaryDirectory() as scratch:
        manifests = sorted(Path(mlflow.artifacts.download_artifacts(address, dst_path=scratch)).rglob(MANIFEST))
        if len(manifests) != 1:
            raise DataError(f"{name} holds {len(manifests)} paincast bundles; one is needed", code="PC-TRACKING-07")
        files = read_files(manifests[0].parent)
        content = load_predictor(manifests[0].parent).version
    if not verify_contents(name, content, version.tags, run.data.tags):
        raise DataError(
            f"{name}: neither the version nor its run records the content of the bundle; train the model again",
            code="PC-TRACKING-08",
        )
    return "" if key is None else sign_files(files, content, key)


def _record_signature(client: MlflowClient, version: ModelVersion, signature: str) -> None:
    """Keep a signature with the version and, where MLflow logged the model, as a file beside its bundle."""
    client.set_model_version_tag(version.name, version.version, SIGNATURE_TAG, signature)
    logged = LOGGED.fullmatch(version.source or "")
    if logged is not None:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, SIGNATURE).write_text(signature, encoding="utf-8")
            client.log_model_artifacts(logged["model"], scratch, artifact_path=BUNDLE_PLACE)


def _find_champion(client: MlflowClient, name: str) -> int | None:
    version = client.get_registered_model(name).aliases.get(CHAMPION)
    return None if version is None else int(version)


def _crown(client: MlflowClient, version: ModelVersion, use: str) -> None:
    """Move the champion alias; a tag of the registered model shows its permitted use in the list of models."""
    client.set_registered_model_tag(version.name, CHAMPION_USE, use)
    client.set_registered_model_alias(version.name, CHAMPION, version.version)


def _withdraw_use(client: MlflowClient, name: str, number: int) -> None:
    """Restrict a former champion to research use; the use that its gate allowed is kept in a tag."""
    version = client.get_model_version(name, str(number))
    client.set_model_version_tag(name, version.version, PROMOTED_USE, _read_promoted_use(version))
    _tag_both(client, version, {"use": RESEARCH_MARK})


def _read_promoted_use(version: ModelVersion) -> str:
    """Read the use that the gate of a promoted version allowed; versions of earlier releases have it in ``use``."""
    mark: str = version.tags.get(PROMOTED_USE, version.tags.get("use", RESEARCH_MARK))
    return RESEARCH_MARK if mark or version.tags.get("basis") == "synthetic" else ""


def _tag_both(client: MlflowClient, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Set tags of a version and of the run that made it."""
    for key, value in tags.items():
        if version.run_id:
            client.set_tag(version.run_id, key, value)
        client.set_model_version_tag(version.name, version.version, key, value)


def _read_history(client: MlflowClient, name: str) -> list[int]:
    return [int(version) for version in json.loads(client.get_registered_model(name).tags.get(HISTORY, "[]"))]


def _write_history(client: MlflowClient, name: str, history: list[int]) -> None:
    client.set_registered_model_tag(name, HISTORY, json.dumps(history))


def _record_promotion(client: MlflowClient, version: ModelVersion, run: Run, verdict: GateVerdict) -> None:
    """Store the verdict with run and version, before the alias is moved, so that every champion has its mark."""
    now = _format_now()
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch, f"{name_verdict_table(verdict)}.csv")
        verdict.to_frame().to_csv(table, index=False)
        client.log_artifact(run.info.run_id, str(table), "tables")
    _tag_both(client, version, tag_verdict(verdict) | {"use": verdict.mark})
    client.set_model_version_tag(version.name, version.version, PROMOTED_USE, verdict.mark)
    client.set_model_version_tag(version.name, version.version, "promoted_at", now)
    mark = f" **{verdict.mark.capitalize()}.**" if verdict.mark else ""
    promoted = f"{PROMOTED}{now[:10]}: {verdict.describe()}.{mark}"
    text = f"{promoted}\n\n{_drop_promotion(version.description or '')}"[:LONGEST_DESCRIPTION]
    client.update_model_version(version.name, version.version, description=text)


def _drop_promotion(description: str) -> str:
    """Remove the line of an earlier promotion; keep the model card and the reviewers' text."""
    return description.partition("\n\n")[2] if description.startswith(PROMOTED) else description


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
