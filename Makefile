# Every verb works on a fresh machine with make and Python 3.10 or newer; `make` alone lists them.
VENV ?= .venv
PY = $(VENV)/bin/python
DEMO = examples/demo_export.zip
BENCH = .venv-bench
DOCS = .venv-docs
SIZE ?= small
ROUNDS ?= 5
# One worker for each core; `make test WORKERS=0` runs the tests in one process.
WORKERS ?= logical

# `worksteal` gives each worker neighbouring tests, which share the fixtures of their module, and a worker that is
# done takes over from one that is not. Eight workers at most: each holds DuckDB and what else the tests import.
PARALLEL = -n $(WORKERS) --maxprocesses 8 --dist worksteal

# Tests start many processes: they find compiled modules, as those of a user do.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-slow soak lint bench docs dist clean

help:  ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-17s %s\n", $$1, $$2}'

demo: $(VENV)/.run $(DEMO)  ## load a small Slack export and show its channels, busiest threads and briefs
	$(PY) examples/demo.py

test: lint $(VENV)/.system  ## lint, then every test but the slow ones: README and notebooks included
	$(PY) -m pytest -q -m "not slow" $(PARALLEL)

test-all:  ## the tests on every Python from 3.10 to 3.13 that is found here
	@scripts/test-all

test-slow: $(VENV)/.test  ## the slow tests: laws with many examples, crashes, large inputs
	$(PY) -m pytest -q -m slow

soak: $(VENV)/.test  ## kill 500 loads of up to a million records at any moment, and compare what the next run makes
	HEADRACE_KILLS=500 HEADRACE_KILLS_RECORDS=1000000 $(PY) -m pytest -q -s --timeout 0 tests/reliability -k test_any_moment

lint: $(VENV)/.test  ## ruff, mypy and the floors
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	@$(VENV)/bin/lint-imports >$(VENV)/floors.txt 2>&1 || { cat $(VENV)/floors.txt; exit 1; }

bench: $(BENCH)/.bench  ## measure beside dlt, DuckDB and pandas: SIZE="small full" ROUNDS=5 SUITES=startup
	@$(BENCH)/bin/python -m benchmarks.suites $(SUITES) --size $(SIZE) --rounds $(ROUNDS); measured=$$?; \
		$(BENCH)/bin/python -m benchmarks.report && exit $$measured

docs: $(DOCS)/.docs  ## build the documentation in site/; a broken link is an error
	@$(DOCS)/bin/mkdocs build --quiet --strict && echo "site/index.html"

dist: $(VENV)/.test  ## sdist and wheel (built from the sdist) in dist/, checked for completeness
	rm -rf dist
	@$(PY) -m build --outdir dist . >$(VENV)/build.txt 2>&1 || { cat $(VENV)/build.txt; exit 1; }
	$(PY) scripts/check-wheel dist/*.whl

clean:  ## remove virtual environments, builds, caches and the demo's warehouse
	rm -rf .venv .venv-* build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	rm -rf .hypothesis .coverage .bench demo.duckdb demo.duckdb.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: what is installed is installed again only when pyproject.toml changes.
$(PY) $(BENCH)/bin/python $(DOCS)/bin/python:
	@venv=$(@:/bin/python=); python=$$(scripts/find-python) && echo "Using $$python for $$venv" \
		&& { "$$python" -m venv $$venv || { rm -rf $$venv; exit 1; }; }

$(DEMO): | $(PY)
	$(PY) examples/make_demo_export.py $@

$(VENV)/.run: pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --editable '.[test]'
	@touch $(VENV)/.run $@

$(BENCH)/.bench: pyproject.toml | $(BENCH)/bin/python
	$(BENCH)/bin/python -m pip install --quiet --editable '.[bench]'
	@touch $@

$(DOCS)/.docs: pyproject.toml | $(DOCS)/bin/python
	$(DOCS)/bin/python -m pip install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/.system: scripts/system-packages | $(PY)
	@scripts/system-packages
	@touch $@
