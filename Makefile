# Two commands run the course: `make lab` opens it, `make test` tests it.
# Each target first makes .venv if it is missing, from another folder, or older than pyproject.toml or constraints.txt.

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
# The package index for PyTorch. An address: this index; none: the index of the other packages; empty: CPU_INDEX on
# Linux without an NVIDIA driver, which saves 3.7 GB of CUDA.
TORCH_INDEX ?=
# The index for Linux without a GPU, from pytorch.org.
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
LESSON ?=
PROSE ?=
LESSONS ?=
REF ?=
FULL ?=
# Further options of `jupyter lab`, such as --no-browser --port=9999.
LAB_OPTIONS ?=
bin := .venv/bin
# pip compiles on one core; `compileall` below does it on all cores, without the tests of packages.
pip = $(bin)/python -m pip install --no-compile --disable-pip-version-check --constraint $(CONSTRAINTS)
# Without dependencies: the index of PyTorch may lack the versions in constraints.txt of the packages that torch needs.
pip_torch = $(pip) --no-deps --index-url
# Jupyter requires this option if root runs it, for example in a container.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# Scripts in .venv contain the path of their folder, which .ready records; an upgrade can remove its Python.
moved := $(shell [ ! -e .venv/.ready ] || { [ "$$(cat .venv/.ready)" = "$$(pwd -P)" ] && [ -x $(bin)/python ]; } \
  || echo moved)
# Jupyter keeps files in the home directory, and fails if it cannot write them; then they go into build/.
at_home = $(bin)/python -m course.check_env --home || { export HOME="$$PWD/build/home"; mkdir -p "$$HOME"; }
FOLDERS := binder course data docs evidence findings helpers lessons notebooks paper solutions tests

.PHONY: help lab test browser-test notebooks slides site data bench evidence check-env clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: .venv/.ready  ## open JupyterLab on lesson 00
	@echo "JupyterLab opens lesson 00 in your browser; Ctrl-C, twice, ends it. If no browser opens, paste a URL from"
	@echo "below into one. If this is not the machine you sit at, type there first (with the port of the URL):"
	@echo "    ssh -N -L 8888:localhost:8888 you@$$(hostname)"
	@$(at_home); $(bin)/jupyter lab --log-level=WARN --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(AS_ROOT) $(LAB_OPTIONS)

test: .venv/.ready  ## unit tests, docstring examples, drift gate, every notebook through nbval
	@$(bin)/ruff check .
	@$(at_home); OMP_NUM_THREADS=1 $(bin)/pytest -n 2 --dist loadfile --no-loadscope-reorder  # two workers with one thread each use two cores

browser-test: .venv/.ready  ## work through lessons as a learner in Chromium without a screen (some lessons: LESSONS="00 14")
	@$(bin)/python tests/browser/chromium.py >/dev/null
	@$(bin)/python -c 'import playwright' 2>/dev/null || $(pip) --editable '.[browser]'
	@$(bin)/pytest tests/browser -v --lessons "$(LESSONS)"

notebooks: .venv/.ready  ## build solutions/ and notebooks/ from lessons/ (one lesson: LESSON=01)
	@$(bin)/python -m course.build $(if $(PROSE),--prose) $(LESSON)

slides: .venv/.ready  ## build slides/ for teaching from the built notebooks; they need no network
	@$(bin)/python -m course.slides --chromium "$$($(bin)/python tests/browser/chromium.py 2>/dev/null)"

site: .venv/.ready  ## build build/site/html, the course to be read in a browser, and look through its pages
	@$(bin)/python -c 'import furo, myst_nb' 2>/dev/null || $(pip) --editable '.[site]'
	@$(at_home); $(bin)/python -m course.site

data: .venv/.ready  ## rebuild the course data, the real (from public sources, needs the network) and the simulated
	@$(bin)/python -m course.make_data

bench: .venv/.ready  ## measure the speed of the simulators, of other codes, and of posteriors here and in sbi: half an hour; or compare with another checkout: REF=../older
ifeq ($(REF),)
	@$(bin)/python evidence/speed_dead_time.py
	@$(bin)/python evidence/speed_pile_up.py
	@$(bin)/python evidence/speed_sbi.py
else
	@$(bin)/python evidence/speed_beside.py "$(REF)"
endif

evidence: .venv/.ready  ## test all claims again, into docs/evidence.md: ten minutes (FULL=1: half an hour); after a change of a lesson or simulator: LESSON=07
	@$(bin)/python evidence/report.py $(if $(FULL),--full) $(if $(LESSON),--lesson $(LESSON))

check-env: .venv/.ready  ## one line per package, device and data file: OK or FAIL, and the remedy
	@$(bin)/python -m course.check_env

clean:  ## remove .venv, all caches, build/ and slides/; keep notebooks and JupyterLab's last checkpoints of them
	rm -rf .venv build slides __pycache__ *.egg-info .hypothesis .pytest_cache .ruff_cache .virtual_documents sbi-logs
	find $(wildcard $(FOLDERS)) -type d \( -name __pycache__ -o -name '*.egg-info' -o -name .hypothesis \
	  -o -name .pytest_cache -o -name .ruff_cache -o -name .virtual_documents -o -name sbi-logs \) \
	  -prune -exec rm -rf {} +

.PHONY: moved
moved:
	@echo "This folder was moved or copied after .venv was made, or the Python of .venv is gone: it is made again."
	@rm -rf .venv

.venv/.ready: pyproject.toml $(wildcard $(CONSTRAINTS)) $(moved)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The course needs Python 3.11 to 3.14, and $(PYTHON) is `$(PYTHON) --version 2>&1`."; \
	  echo "Name another one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) course/wheels.py
	@$(PYTHON) -m venv .venv || { \
	  echo "Python's venv module is missing or broken. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "Installing the course's packages into .venv, once: two to five minutes; 2.4 GB, with CUDA 6.1 GB."
ifeq ($(TORCH_INDEX),)
	@index=`$(bin)/python course/wheels.py $(CPU_INDEX)`; [ -z "$$index" ] || { \
	  echo "No NVIDIA driver is here: PyTorch comes without CUDA, from $$index (TORCH_INDEX=none: with it)."; \
	  $(pip_torch) $$index torch || echo "That failed. PyTorch comes with the other packages, and with CUDA."; }
else ifneq ($(TORCH_INDEX),none)
	$(pip_torch) $(TORCH_INDEX) torch
endif
	$(pip) --editable '.[dev]'
	@$(bin)/python -m compileall -qq -j 0 -x '/tests/' .venv/lib || true
	@$(bin)/python -m ipykernel install --sys-prefix --name python3 --display-name "X-ray timing course" >/dev/null
	@mkdir -p .venv/share/jupyter/lab/settings && cp binder/overrides.json .venv/share/jupyter/lab/settings
	@pwd -P >$@
