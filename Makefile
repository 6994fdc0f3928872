# Everything here sets itself up: a fresh machine needs Python 3.11+, make and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests start many processes: what they import is compiled once, whatever the shell says of it.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/pycache

.PHONY: test reproduce figures machines flint versions rates-check fuzz oracles coq latex slow gpu-check lint clean

$(VENV)/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/oracles: $(VENV)/ready tests/oracles/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement tests/oracles/requirements.txt
	touch $@

$(VENV)/lint: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@

test: $(VENV)/ready  ## the tests, without those that take long
	$(BIN)/python -m pytest --numprocesses 2 -m "not long"

reproduce: $(VENV)/ready  ## the main job in its small size, into accelsim-results/
	$(BIN)/accelsim reproduce --size tiny

figures: $(VENV)/ready  ## every experiment at full size, into figures/
	$(BIN)/accelsim run --size full --out figures
	$(BIN)/accelsim figures --out figures

machines: $(VENV)/ready  ## numerical tests under other BLAS kernels, two threads, without AVX2; reproduce on another kernel
	$(BIN)/python -m pytest tests/slow/machines.py

flint: ## the symbolic engine's tests with python-flint, which must change no answer
	$(PYTHON) -m venv $(VENV)-flint
	$(VENV)-flint/bin/python -m pip install --quiet --editable '.[test]' python-flint
	$(VENV)-flint/bin/python -m pytest --numprocesses 2 tests/test_factor.py tests/test_finder.py tests/test_equivalence.py \
		tests/test_certificates.py tests/test_verdicts.py -m "not long"

versions: ## tests with the lowest versions of everything, and with the newest Python at hand
	.ci/versions

rates-check: $(VENV)/ready  ## rates on random tables under several BLAS kernels, against sixty digits
	$(BIN)/python -m pytest tests/slow/rates_on_tables.py

oracles: $(VENV)/oracles  ## the rules against real implementations, live
	$(BIN)/python -m pytest --numprocesses 2 tests/oracles/live.py

coq: $(VENV)/ready  ## every derivation checked by Coq's kernel (Debian's package coq), every near miss refused
	$(BIN)/python -m pytest tests/slow/coq.py

latex: $(VENV)/ready  ## answers of every kind and the documents of all rules compiled with LaTeX (Debian's texlive-latex-base)
	$(BIN)/python -m pytest --numprocesses 2 -rs tests/slow/latex.py

slow: $(VENV)/ready  ## tests that take long; equivalences of rules made by chance, five hundred each way; verdicts derived by hand; mutants of certificates; python-control's transfer functions; every kernel; spoiled command lines
	$(BIN)/python -m pytest --numprocesses 2 tests/slow/equivalence.py tests/slow/certificates.py tests/slow/kernels.py \
		tests/slow/own_verdicts.py tests/slow/command_lines.py
	$(BIN)/python -m pytest --numprocesses 2 -m long

fuzz: $(VENV)/ready  ## random questions of many kinds against independent references: SEED=n [COUNT=n]
	$(BIN)/python tests/slow/fuzz.py --seed $(or $(SEED),0) --count $(or $(COUNT),1000)

gpu-check: $(VENV)/ready  ## on an NVIDIA GPU: kernels against the reference, and their speed into benchmarks/results/gpu.json
	@driver=$$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null | sed 's/[.].*//;q'); \
	test "$$driver" -gt 0 2> /dev/null || { echo "make gpu-check needs an NVIDIA GPU: nvidia-smi finds none" >&2; exit 1; }; \
	cuda=$$(test "$$driver" -ge 580 && echo 13 || echo 12); \
	set -x; $(BIN)/python -m pip install --quiet --editable ".[test,gpu-cuda$$cuda]" && \
	$(BIN)/python -m pytest tests/slow/gpu.py && $(BIN)/python benchmarks/gpu.py

lint: $(VENV)/lint  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy accelsim derivations experiments tests benchmarks

clean:
	rm -rf $(VENV) build *.egg-info
