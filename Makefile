# make ocr         read INPUT (default: the samples) into OUTPUT; sets up .venv on first use
# make test        the whole test suite, with coverage (installs the training and test extras too)
# make test-fast   what needs no Ray, no browser and no training
# make test-wheel  the wheel in an empty folder, and a checkout that is not installed
# make test-image  builds the image, or runs its steps in a clean Debian
# make test-cluster  a cluster of three hosts over SSH, in network namespaces (needs root)
# make lint        ruff, pyright and hadolint
# make fonts       Debian fonts for the page renderer (needs root)
# make browser     Debian's Chromium for the tests of the page (needs root)

PYTHON ?= python3
INPUT ?= samples
OUTPUT ?= out
VENV := .venv
BIN := $(VENV)/bin

# Reading on a closed network: Ray must not try to send usage statistics.
export RAY_USAGE_STATS_ENABLED = 0

# Hangul first, then Latin of many kinds: a network that has seen few fonts reads receipts upside down.
FONTS := fonts-nanum fonts-nanum-extra fonts-noto-cjk fonts-dejavu fonts-liberation fonts-unfonts-core \
	fonts-baekmuk fonts-hermit fonts-anonymous-pro fonts-b612 fonts-bebas-neue fonts-cabin \
	fonts-cantarell fonts-courier-prime fonts-crosextra-caladea fonts-crosextra-carlito fonts-dosis \
	fonts-ebgaramond fonts-fantasque-sans fonts-firacode fonts-freefont-ttf fonts-go fonts-hack \
	fonts-inconsolata fonts-jetbrains-mono fonts-lato fonts-league-mono fonts-monoid fonts-croscore \
	fonts-ocr-a fonts-ocr-b fonts-open-sans fonts-roboto-unhinted fonts-sil-gentium fonts-urw-base35 \
	fonts-yanone-kaffeesatz fonts-oxygen fonts-unifont

# Two processes: one runs the tests that start Ray, the other the rest (tests/conftest.py says how).
SIDE_BY_SIDE := -n 2 --dist loadgroup --no-loadscope-reorder --durations 20

.PHONY: ocr test test-fast test-wheel test-image test-cluster lint fonts browser

ocr: $(VENV)/core
	$(BIN)/python -m ray_apps ocr --input $(INPUT) --output $(OUTPUT) $(ARGS)

test: $(VENV)/full
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov $(ARGS)

test-fast: $(VENV)/full
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not ray and not browser and not train and not slow" $(ARGS)

test-wheel: $(VENV)/full
	.ci/wheel $(BIN)/python

test-image: $(VENV)/full
	.ci/image

test-cluster: $(VENV)/full
	.ci/cluster

lint: $(VENV)/full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/pyright --pythonpath $(BIN)/python

fonts:
	apt-get update
	apt-get install -y $(FONTS)

browser:
	apt-get update
	apt-get install -y chromium

# Stamp files: an environment is set up once and again when what it is made from changes.
$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/full: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,test,lake]'
	touch $@ $(VENV)/core
