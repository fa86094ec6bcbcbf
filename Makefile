# The toolbox: short verbs, each used by people and by CI alike.
PYTHON ?= python3
SEEDS ?= 200
WORKERS ?= auto
PYTEST_ARGS ?=

.PHONY: check fmt lint types arrows test sim fuzz native openapi bench run wheel clean

check: lint types arrows test  ## all that CI runs

fmt:  ## format and fix what can be fixed by machine
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

arrows:  ## imports go down or sideways, never up
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

test:
	$(PYTHON) -m pytest -q -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

sim:  ## the replicated log under seeded faults: make sim SEEDS=1000
	PYTHONHASHSEED=0 $(PYTHON) scripts/sim.py --seeds $(SEEDS)

fuzz:
	$(PYTHON) scripts/fuzz.py

openapi:  ## what the API describes, asked in thousands of ways
	QDNS_OPENAPI_PHASES=examples,coverage,fuzzing,stateful QDNS_OPENAPI_EXAMPLES=20 $(PYTHON) -m pytest -q tests/api/test_described.py

native:  ## the compiled reader of answers, where there is a C compiler
	$(PYTHON) scripts/build_native.py

bench:
	$(PYTHON) scripts/bench.py

run:  ## one node, no configuration, with a demo
	$(PYTHON) -m node dev --with-demo

wheel:
	$(PYTHON) -m pip wheel --no-deps --wheel-dir dist .

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
