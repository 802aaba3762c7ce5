# Two commands do all: `make demo` and `make test`. Everything else is for those who build rejse:
# `make check` at every commit, `make test` before a merge, `make soak` before a release.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo
CUSTOMERS ?= 20000
# In the order of their names, the files that take longest are not among the last ones.
SPREAD := -n auto --dist loadfile --no-loadscope-reorder
SCRIPTS := $(shell find sql tests -name '*.sql' 2>/dev/null)

.PHONY: help env demo lint types check test graph docs services bench soak lock clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

# The environment follows the lock file; a changed lock or pyproject makes it anew.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

env: .venv/ready  ## make the environment

# Airflow's versions are not ours: the example DAG is tested by one in an environment of its own,
# which CI makes; elsewhere the test is skipped without it.
.airflow/ready: .ci/airflow.lock
	$(PYTHON) -m venv .airflow
	.airflow/bin/python -m pip install --quiet --require-hashes --no-deps --requirement .ci/airflow.lock
	@touch $@

demo: .venv/ready  ## sample data, the main job, headline tables, the report
	@test -f $(DEMO)/rejse.toml || $(BIN)/rejse demo-data $(DEMO) --customers $(CUSTOMERS)
	$(BIN)/rejse run --config $(DEMO)/rejse.toml --complete
	@$(BIN)/rejse sql --config $(DEMO)/rejse.toml --file headline
	$(BIN)/rejse report --config $(DEMO)/rejse.toml

lint: .venv/ready build/sql-is-linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Only the scripts changed since it last went well, or all where the rules or their tool changed.
# A clean clone, such as CI's, lints all.
build/sql-is-linted: $(SCRIPTS) pyproject.toml requirements.lock | .venv/ready
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 0 \
		$(if $(filter-out %.sql,$?),sql tests,$(filter %.sql,$?))
	@mkdir -p $(@D) && touch $@

types: .venv/ready
	$(BIN)/mypy -p rejse -p tests.bench

check: lint types  ## for every commit: style, types, unit tests, laws on a small sample
	REJSE_SAMPLE=small $(BIN)/python -m pytest $(SPREAD) -m 'not slow'

test: lint types  ## everything that must hold: style, types, all tests
	$(BIN)/python -m pytest $(SPREAD)

graph: .venv/ready  ## who imports whom: packages by layer with their lines; a circle if there is one
	@$(BIN)/python -m tests.support.import_graph

docs: .venv/ready  ## the reference pages, from the declarations in the code
	$(BIN)/python docs/generate.py

services: .venv/ready  ## a Kafka broker at localhost:9092 (needs Java and Maven), until Ctrl-C
	@$(BIN)/python -m tests.support.kafka_broker

bench: .venv/ready  ## the same work by rejse and its rivals; what increments and live cost
	$(BIN)/python -m tests.bench.bench --events 1000000 10000000
	mkdir -p build && $(BIN)/python -m tests.bench.curve --json build/curve.json
	$(BIN)/python -m tests.bench.model build/curve.json
	$(BIN)/python -m tests.bench.growth --events 1000000 --increments 100 --generations 10 --care 20
	$(BIN)/python -m tests.bench.latency --events 10
	$(BIN)/python -m tests.bench.object_store
	$(BIN)/python -m tests.bench.first_result --events 1000000

soak: .venv/ready  ## laws, transcripts, oracle, kills and mutations on many times as many examples
	REJSE_SAMPLE=soak $(BIN)/python -m pytest $$(grep -rl 'support\.law' tests --include='test_*.py')

lock:  ## resolve the lock file anew (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--output-file requirements.lock --quiet

clean:  ## remove what was built
	rm -rf build .venv .airflow src/*.egg-info $(DEMO)
	find . -name __pycache__ -prune -exec rm -r {} +
