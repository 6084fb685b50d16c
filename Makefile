# Needs python3 (3.11 or newer), make and git; everything else comes from the pinned lock in requirements/.
# Another interpreter works beside the default one, in an environment of its own: make test PYTHON=python3.12

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(VERSION))
BIN := $(VENV)/bin
CORE := $(VENV)/core-$(VERSION).stamp
DEV := $(VENV)/dev-$(VERSION).stamp
PACKAGE := $(VENV)/package-$(VERSION).stamp
SPARK := $(VENV)/spark-$(VERSION).stamp
# Tests that share a server or a training stay with one worker, until another has nothing left to do.
PYTEST_FLAGS ?= -n logical --maxprocesses 4 --dist worksteal
# Folders whose tests need no trained model.
FAST_TESTS ?= tests/settings tests/evidence tests/test_house.py tests/test_lock.py tests/test_docs.py tests/test_gates.py

# Every file is locked with its hash, so nothing is resolved. Byte code is compiled once, here, on all cores:
# imports are three times slower without it.
PIP_INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --no-compile --no-deps
COMPILE = $(BIN)/python -m compileall -q -j 0 -x /tests/

.DEFAULT_GOAL := help
.PHONY: help run validate repro test test-fast test-slow test-all package-smoke coverage docs lint lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: $(PACKAGE) ## Make the environment, train on the embedded default and predict ten example patients
	$(BIN)/paincast train
	$(BIN)/paincast predict examples/patients.csv -o predictions/examples.csv --show
	@echo "Look at the runs, their calibration and their reasons with: $(BIN)/paincast review"

validate: $(PACKAGE) ## Evaluate the models of make run on the published data sets, which are downloaded
	$(BIN)/paincast validate models -o reports/published

repro: $(DEV) $(PACKAGE) ## Run the stages of dvc.yaml that are out of date: simulate, train, evaluate, predict
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

test: lint ## Run lint, types, floors and all tests but the slow ones
	$(BIN)/pytest $(PYTEST_FLAGS) -m "not slow"

test-fast: $(DEV) $(PACKAGE) ## Run the tests of a minute, without lint
	$(BIN)/pytest $(PYTEST_FLAGS) -m "not slow" $(FAST_TESTS)

# Spark needs Java, and its tests are skipped without either.
test-slow: $(DEV) $(PACKAGE) $(if $(shell command -v java),$(SPARK)) ## Run the tests marked slow
	$(BIN)/pytest $(PYTEST_FLAGS) -m slow

test-all: test test-slow ## Run both: what CI runs beside the docs

package-smoke: $(DEV) $(PACKAGE) ## Install wheel and sdist into an empty environment and use them (one of the slow tests)
	$(BIN)/pytest tests/test_package.py

coverage: $(DEV) $(PACKAGE) ## Run all tests and measure which lines they reach
	$(BIN)/pytest $(PYTEST_FLAGS) --cov

docs: $(DEV) $(PACKAGE) ## Build the site into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --quiet -b html -c docs -d docs/_build/doctrees . docs/_build/html

lint: $(DEV) $(PACKAGE) ## Run the linters, the type checker and the check of the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

$(CORE): requirements/build.lock requirements/core.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "paincast needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@echo "$(VENV): installing the core from the lock (about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements/build.lock
	@$(PIP_INSTALL) --require-hashes --no-build-isolation --use-pep517 -r requirements/core.lock
	@$(COMPILE) $(VENV)/lib/python$(VERSION)/site-packages
	@touch $@

$(DEV): requirements/dev.lock $(CORE)
	@echo "$(VENV): installing the tools of the developers from the lock ..."
	@$(PIP_INSTALL) --require-hashes --no-build-isolation --use-pep517 -r requirements/dev.lock
	@$(COMPILE) $(VENV)/lib/python$(VERSION)/site-packages
	@touch $@

$(SPARK): requirements/spark.lock $(DEV)
	@echo "$(VENV): installing Spark from the lock (half a gigabyte) ..."
	@$(PIP_INSTALL) --require-hashes --no-build-isolation --use-pep517 -r requirements/spark.lock
	@touch $@

$(PACKAGE): pyproject.toml $(CORE)
	@echo "$(VENV): installing paincast itself, editable ..."
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@$(COMPILE) src
	@touch $@

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

lock: ## Resolve the dependencies of pyproject.toml anew (needs uv; LOCK_FLAGS=--upgrade takes the newest of all)
	uv pip compile $(LOCK) $(LOCK_FLAGS) pyproject.toml --group dev --group build --output-file requirements/dev.lock
	uv pip compile $(LOCK) pyproject.toml --constraints requirements/dev.lock --output-file requirements/core.lock
	uv pip compile $(LOCK) --group build --constraints requirements/dev.lock --output-file requirements/build.lock
	uv pip compile $(LOCK) --group spark --constraints requirements/dev.lock --output-file requirements/spark.lock

clean: ## Remove environments, caches and build products; data and models stay
	rm -rf .venv .venv-* build dist docs/_build docs/_generated .coverage .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
