# Every target does its own set-up: a virtual environment in .venv, and Azurite in .cache where it is needed.
# Settings on the command line: PYTHON=…, PORT=…, WORKERS=…, SEEDS=…, PYTEST_ARGS="-k presence"

PORT ?= 7071
WORKERS ?= 1
SEEDS ?= 100
PYTEST_ARGS ?=
export PYTHON

RUN := exec .venv/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help demo run host test test-fast test-long lint fix bench simulate package infra infra-write lock shell licences figures \
	clean python azurite

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: python azurite ## the main job once, end to end, on the local stack (PRESENCE=graph or dynamics365, EMAIL=graph)
	@$(RUN) tests.local.demo $(if $(PRESENCE),--presence $(PRESENCE)) $(if $(EMAIL),--email $(EMAIL))

run: python azurite ## the local stack in the foreground, until Ctrl-C
	@$(RUN) tests.local.run

host: python ## the function app alone on PORT (7071), with settings from the environment
	@$(RUN) tests.local.host --port $(PORT) --workers $(WORKERS)

test: python azurite ## the whole test suite
	@$(RUN) pytest $(PYTEST_ARGS)

test-fast: python ## the tests that start no process
	@$(RUN) pytest -m "not process and not long" tests/unit tests/contract tests/rules $(PYTEST_ARGS)

test-long: python azurite ## what takes minutes or asserts on wall time: crashes, outages, bursts, steps, mutants
	@$(RUN) pytest -m long $(PYTEST_ARGS)

lint: python ## ruff, mypy --strict and the code rules
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy --strict
	@$(RUN) pytest -q tests/rules

fix: python ## what ruff can mend by itself, mended
	@.venv/bin/python -m ruff check --fix .
	@.venv/bin/python -m ruff format .

bench: python azurite ## the benchmarks, as a table and as JSON
	@$(RUN) tests.benchmarks

simulate: python ## the simulator, over SEEDS (100) seeds
	@$(RUN) tests.simulator --seeds $(SEEDS)

package: python ## released-package.zip, what is deployed: reproducible, hash-locked, byte code
	@exec .venv/bin/python infra/package.py

infra: python ## Bicep built, linted, scanned and its snapshots compared (compiler on PATH or in BICEP)
	@$(RUN) tests.infra

infra-write: python ## renew the compiled templates and the snapshots after a change of infra/
	@$(RUN) tests.infra --write

shell: python ## the core in memory with two agents, to play with
	@$(RUN) tests.fakes.shell

licences: python ## the deployed packages and their licences
	@$(RUN) tests.local.licences

figures: python ## how large the house is, and how many hops a dial takes
	@$(RUN) tests.rules.figures

lock: python ## remake requirements.txt and requirements-dev.txt from requirements.in and requirements-dev.in
	@sh tests/local/lock.sh

clean: ## remove everything that was installed or cached here
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@python=$$(sh tests/local/find_python.sh) && "$$python" tests/local/bootstrap.py

azurite: python
	@.venv/bin/python -m tests.local.azurite --install
