# `make demo` and `make test` set themselves up on a bare machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= auto
# Test workers share the cores: threads of their own would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) -q

.PHONY: demo test test-slow lint docs clean

demo: $(READY) ## the main job, end to end, on a synthetic scene: under 3 minutes, no network
	$(BIN)/landvisor demo --out demo-result --overwrite

test: $(READY) ## all tests but the slow ones
	$(PYTEST)

test-slow: $(READY)
	$(PYTEST) -m slow

lint: $(READY) ## formatting, style, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY) ## the documentation as a site in site/
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/zensical build --clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) demo-result site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
