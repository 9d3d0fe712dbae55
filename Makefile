# Needs Python 3.11 to 3.13 with venv, git, make and a package index; nothing else.
# PYTHON=python3.12 chooses the interpreter that .venv is made with.
BIN = .venv/bin
READY = .venv/.ready

.PHONY: help setup run test lint format types bench clean

help:
	@echo "make run     install if need be, and serve on http://127.0.0.1:8000"
	@echo "make setup   install into .venv"
	@echo "make test    run the whole test suite"
	@echo "make lint    check style and format;  make format  mend them"
	@echo "make types   check types"
	@echo "make bench   measure the portraits, against a baseline"
	@echo "make clean   remove .venv and caches; pictures and weights stay"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' tools/make-venv
	@touch $(READY)

# exec: a signal sent by make reaches the server, not a shell in between.
run: setup
	@exec $(BIN)/portraitd serve

test: setup
	@exec $(BIN)/python tools/run_tests.py

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/portraits.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
