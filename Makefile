# make ocr     read INPUT (default: the samples) into OUTPUT; sets up .venv on first use
# make test    the whole test suite (installs the training and test extras too)
# make lint    ruff
# make fonts   Debian fonts for the page renderer (needs root)

PYTHON ?= python3
INPUT ?= samples
OUTPUT ?= out
VENV := .venv
BIN := $(VENV)/bin

# Reading on a closed network: Ray must not try to send usage statistics.
export RAY_USAGE_STATS_ENABLED = 0

.PHONY: ocr test lint fonts

ocr: $(VENV)/core
	$(BIN)/python -m ray_apps.bulk_ocr --input $(INPUT) --output $(OUTPUT) $(ARGS)

test: $(VENV)/full
	$(BIN)/python -m pytest

lint: $(VENV)/full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fonts:
	apt-get update
	apt-get install -y fonts-nanum fonts-nanum-extra fonts-noto-cjk fonts-dejavu fonts-liberation fonts-unfonts-core fonts-baekmuk

# Stamp files: an environment is set up once and again when what it is made from changes.
$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/full: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,test]'
	touch $@ $(VENV)/core
