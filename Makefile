# Each target sets up what it needs in .venv, once. Python 3.11+ and make are all that must be there.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
export JUPYTER_PLATFORM_DIRS := 1

.PHONY: report check test docs lab readme hooks clean
.DEFAULT_GOAL := report

# Markers are inside .venv, so deleting that folder starts afresh
$(BIN)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; install it, or name it: make PYTHON=/path/to/python3"; exit 2; }
	@echo "Setting up .venv with $(PYTHON) (some minutes, once)"
	@$(PYTHON) -m venv .venv || { echo "venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt -e ".[dev,docs]" | grep -v -E '^(Requirement already|Looking in|  Using cached|  Downloading|  Preparing|  Installing|  Getting)' || true
	@$(BIN)/python -c "import torch, fastai, nbdev, papermill, deep_al_illusions" && touch $@

report: $(BIN)/.ready
	$(BIN)/dal sweep report
	$(BIN)/dal report

# What needs no run, within a minute
check: $(BIN)/.ready
	@echo "== modules, README and outputs in sync with the notebooks"
	$(BIN)/python tools/sync.py
	@echo "== style"
	$(BIN)/python tools/style.py
	$(BIN)/chkstyle nbs tests docs benchmarks tools

# A folder of its own for the runs that notebooks make, so that tests neither use nor leave anything in runs/.
# Both parts keep all cores busy; a worker of pytest needs up to 2 GB, so there are four at most, and takes whole files,
# so that what a file sets up is set up once and its processes do not wait for each other
test: check
	@echo "== every notebook"
	d=$$(mktemp -d) && DAL_RUNS_ROOT=$$d $(BIN)/nbdev-test --do-print --timing; s=$$?; rm -rf $$d; exit $$s
	@echo "== pytest"
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

docs: $(BIN)/.ready
	$(BIN)/python tools/site.py
	@echo "Open _docs/index.html"

lab: $(BIN)/.ready
	$(BIN)/jupyter lab nbs

readme: $(BIN)/.ready
	$(BIN)/python tools/sync.py --write

# For contributors: nbdev's merge and diff drivers; they need .venv/bin on the PATH
hooks: $(BIN)/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev-install-hooks

clean:
	rm -rf .venv _docs _proc *.egg-info
