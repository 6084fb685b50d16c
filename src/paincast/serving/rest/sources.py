"""Find the models to serve in folders and registries, load those that changed, and exchange the set in one step."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from paincast.cohort.reading.patients import read_patients
from paincast.errors import DataError, PaincastError
from paincast.models_folder import list_notes
from paincast.predictor import Predictor
from paincast.predictor.answering.ready import check_patients
from paincast.predictor.bundle import TrustedKeys
from paincast.predictor.route import predict_ready
from paincast.serving.addresses import is_address, list_addresses, mark_address
from paincast.serving.predict import key_predictors, load_model
from paincast.serving.rest.models import ServedModels, make_patient
from paincast.serving.validation.validations import list_bundles

LOG = logging.getLogger("paincast.rest")


class FoundModel(NamedTuple):
    """A model in a source: its folder or address, and a mark that changes when the model does."""

    place: str
    mark: Hashable


class LoadedModel(NamedTuple):
    """A model that is loaded, with the source and the mark it had."""

    source: str
    mark: Hashable
    predictor: Predictor


class ModelSources:
    """Folders and addresses whose models are served.

    Parameters
    ----------
    sources : sequence of str
        Folders and MLflow addresses.
    trusted_keys : TrustedKeys, optional
        Keys, one of which must have signed each model.

    Attributes
    ----------
    served : ServedModels
        The models that are served now; exchanged as a whole.
    problems : tuple of PaincastError
        What keeps newer models from being served.

    Raises
    ------
    PaincastError
        If there is no model, or one cannot be loaded: at the start no other stands in for it.
    """

    def __init__(self, sources: Sequence[str], trusted_keys: TrustedKeys | None = None) -> None:
        self.served = ServedModels({})
        self.problems: tuple[PaincastError, ...] = ()
        self._sources = tuple(dict.fromkeys(sources))
        self._keys = trusted_keys
        self._loaded: dict[str, LoadedModel] = {}
        self.refresh()
        if self.problems:
            raise self.problems[0]
        if not self.served.models:
            raise DataError(f"no models: nothing to serve at {', '.join(self._sources)}", code="PC-REST-40")

    def refresh(self) -> None:
        """Look at the sources, load what changed beside what is served, and exchange the set in one step.

        A source that does not answer keeps its models, and so does a model whose new version cannot be loaded.
        """
        problems: list[PaincastError] = []
        loaded: dict[str, LoadedModel] = {}
        for source in self._sources:
            loaded |= self._look(source, problems)
        if _list_marks(loaded) != _list_marks(self._loaded):
            try:
                before, self.served = self.served, make_served(loaded)
                self._loaded = loaded
                _log_changes(before.versions, self.served.versions)
            except PaincastError as error:
                problems.append(error)
        self._note(problems)

    def _look(self, source: str, problems: list[PaincastError]) -> dict[str, LoadedModel]:
        """Look at a source; return its models, those that changed loaded anew."""
        before = {place: model for place, model in self._loaded.items() if model.source == source}
        try:
            found = find_models(source)
        except PaincastError as error:
            problems.append(error)
            return before
        loaded: dict[str, LoadedModel] = {}
        for place, mark in found:
            kept = before.get(place)
            if kept is not None and kept.mark == mark:
                loaded[place] = kept
                continue
            try:
                loaded[place] = LoadedModel(source, mark, load_warm(place, self._keys))
            except PaincastError as error:
                problems.append(error)
                if kept is not None:
                    loaded[place] = kept
        return loaded

    def _note(self, problems: Sequence[PaincastError]) -> None:
        """Keep the problems, and log those that are new."""
        known = {str(problem) for problem in self.problems}
        for problem in problems:
            if str(problem) not in known:
                LOG.warning("what was loaded before is served on: %s [%s]", problem, problem.code)
        if self.problems and not problems:
            LOG.info("everything that is found is served again")
        self.problems = tuple(problems)


def _log_changes(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Log which models changed, after the start."""
    changed = [f"{name} {version}" for name, version in after.items() if before.get(name) != version]
    gone = [f"{name} no more" for name in before if name not in after]
    if before:
        LOG.info("serving %s", ", ".join([*changed, *gone]) or "the same versions, with another use or validation")


def _list_marks(loaded: Mapping[str, LoadedModel]) -> dict[str, Hashable]:
    return {place: model.mark for place, model in loaded.items()}


def find_models(source: str) -> list[FoundModel]:
    """Find the models of a folder or an address.

    Raises
    ------
    DataError
        If there is no such folder or none in it, or the store of the address does not answer.
    """
    if is_address(source):
        return [FoundModel(address, mark_address(address)) for address in list_addresses(source)]
    bundles = list_bundles(Path(source)) if Path(source).is_dir() else []
    if not bundles:
        raise DataError(
            f"no models: {source} is no folder of models; train them with 'paincast train'", code="PC-REST-41"
        )
    return [FoundModel(str(bundle), _mark_folder(bundle)) for bundle in bundles]


def _mark_folder(folder: Path) -> Hashable:
    """Mark the state of a folder of files; one that is just being exchanged has none."""
    try:
        facts = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return None
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in facts)


def load_warm(place: str, keys: TrustedKeys | None) -> Predictor:
    """Load a model and let it answer an invented patient, so that the first real one need not wait.

    Raises
    ------
    DataError
        If it cannot be loaded, or cannot answer.
    """
    predictor = load_model(place, trusted_keys=keys)
    patient = make_patient(predictor.contract, predictor.rules.indications[0])
    try:
        read = read_patients([patient], contract=predictor.contract)
        predict_ready(check_patients(read, predictor.contract)[0], predictor.answer_each)
    except Exception as error:
        raise DataError(f"{place} cannot answer a patient ({type(error).__name__})", code="PC-REST-42") from error
    return predictor


def make_served(loaded: Mapping[str, LoadedModel]) -> ServedModels:
    """Gather models into one set.

    Raises
    ------
    PaincastError
        If two answer the same, or their contracts differ.
    """
    models = key_predictors(model.predictor for model in loaded.values())
    places = {id(model.predictor): place for place, model in loaded.items()}
    notes = [note for source in {model.source for model in loaded.values()} for note in _list_notes(source, loaded)]
    served = ServedModels(models, {name: places[id(model)] for name, model in models.items()}, tuple(notes))
    assert served.contract is not None  # raises here, not at the first question
    return served


def _list_notes(source: str, loaded: Mapping[str, LoadedModel]) -> Iterable[str]:
    own = {model.predictor.name: model.predictor for model in loaded.values() if model.source == source}
    return () if is_address(source) else list_notes(source, own).values()
