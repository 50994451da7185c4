# Set-up, main job and tests; everything lives in $(VENV).
PYTHON ?= python3
VENV ?= .venv

.PHONY: run lint test test-notebooks test-hardware test-slow clean

run: $(VENV)/.installed
	$(VENV)/bin/ssmq run

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Three workers for two cores: some tests wait for what they start. The tests of a file share what they set up.
test: $(VENV)/.installed
	$(VENV)/bin/pytest -n $$(((3 * $$(nproc) + 1) / 2)) --dist loadfile

test-notebooks: $(VENV)/.installed
	$(VENV)/bin/pytest -m slow tests/acceptance/test_notebooks.py

# The smallest model of the zoo, and the main job on a tiny one, to a bitstream.
test-hardware: $(VENV)/.installed
	$(VENV)/bin/pytest -m slow tests/acceptance/test_bitstream.py tests/acceptance/test_run.py -k "ecp5 or ends_in_a_bitstream"

test-slow: $(VENV)/.installed
	$(VENV)/bin/pytest -m slow

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[test,notebooks,hls4ml,finn,docs,hw]'
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps finn-plus==1.6.1
	touch $@

clean:
	rm -rf $(VENV)
