# Needs Python 3.10 or newer, make and git; the rest comes into .venv. `make help` lists the targets.

# Options for the command behind a target: make demo ARGS="--seed 7".
ARGS =
# The Python that .venv is made from; without a choice, the first one that is new enough.
PYTHON =
PYTEST_ARGS = -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

VENV = .venv
BIN = $(VENV)/bin
# Newer than the lock files and pyproject.toml once .venv holds what they ask.
RUNTIME = $(VENV)/runtime.stamp
DEV = $(VENV)/dev.stamp
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo up test check format bench lock clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(RUNTIME) ## See the whole pipeline work on this machine; no GPU, no Docker. ARGS="..." passes options.
	@$(BIN)/cosmos demo $(ARGS)

up: $(RUNTIME) ## Start the server and serve every deployment. ARGS="..." passes options.
	@$(BIN)/cosmos up $(ARGS)

test: $(DEV) ## Check the code, then run every test. As root on Debian it installs the system packages they need.
	@sh tests/install_system_packages.sh
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(ARGS)

check: $(DEV) ## Style, types, layers, dead code.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@if $(BIN)/python -c "import sys; sys.exit(sys.version_info < (3, 11))"; then echo "$(BIN)/mypy"; $(BIN)/mypy; else \
		echo "*** Types are not checked on Python 3.10: the last SQLAlchemy and NumPy for it declare theirs differently."; fi
	PYTHONPATH=. $(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.declared_parameters > $(VENV)/declared_parameters.py
	$(BIN)/vulture deployments flows blocks cosmos_ops tests $(VENV)/declared_parameters.py

format: $(DEV) ## Let ruff format the code and mend what it can.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(DEV) ## Measure what the documentation claims. ARGS="..." passes options.
	@$(BIN)/python -m tests.bench $(ARGS)

clean: ## Remove the environment and everything that tools left behind.
	rm -rf $(VENV) $(LOCK_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# As constraints too: older versions of pip look past a pin where somebody asks for the same package with an extra.
$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Cosmos needs into $(VENV); this takes a minute, and happens once."
	@$(PIP_INSTALL) --require-hashes --requirement requirements.lock --constraint requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Cosmos and its tests need into $(VENV); this takes a minute, and happens once."
	@$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock --constraint requirements-dev.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(RUNTIME) $@

$(BIN)/python:
	@$(call make_venv,$(VENV))

# The lock files hold for Python 3.10 and newer on Linux, macOS and Windows. Pins stay as they are unless asked otherwise:
# `make lock ARGS=--upgrade`, or `make lock ARGS="--upgrade-package prefect"`.
LOCK_VENV = .venv-lock
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(LOCK_VENV)/bin/uv pip compile --quiet pyproject.toml --group build \
	--universal --python-version 3.10 --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS)

lock: ## Renew the lock files after a change of dependencies. ARGS=--upgrade takes the newest versions.
	@$(call make_venv,$(LOCK_VENV))
	@$(LOCK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	@rm -rf $(LOCK_VENV)

# Debian and Ubuntu ship python3 without the ensurepip that venv needs.
define make_venv
python=""; \
for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.10); do \
	if "$$candidate" -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null; then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo "Cosmos needs Python 3.10 or newer. Install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
fi; \
if ! "$$python" -c "import ensurepip" 2>/dev/null; then \
	package=$$("$$python" -c "import sys; print('python%d.%d-venv' % sys.version_info[:2])"); \
	if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
		echo "This Python cannot make environments: sudo apt-get install $$package, then call make again." >&2; exit 1; \
	fi; \
	echo "Installing the system package $$package, which this Python needs to make an environment."; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$$package" || exit 1; \
fi; \
"$$python" -m venv --clear $(1)
endef
