# Everything below works on a machine with Python 3.11 to 3.13 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread per process: two jobs with two threads each run far slower than one after the other.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 2

# wheel-check downloads some gigabytes: every version of Python gets an environment of its own.
.PHONY: wheel-check pesummary-check demo ci test test-inference test-others test-fast lint notebooks docs nr surrogate precessing clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(VENV): 5 to 15 minutes and 4 GB, in which pip says nothing"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e ".[mkl,test]"
	touch $@

demo: $(VENV)/.installed  ## simulated H1+L1 data, shipped weights, a full report in out/demo
	$(BIN)/gwsml demo --out out/demo

INFERENCE := tests/inference tests/waveform tests/search
TWO := --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
test-fast: SELECT = -m "not slow and not process"
test-fast: INFERENCE += tests/surrogate
test-fast:  ## what takes below two seconds and starts no process
test:  ## all tests and doctests
test test-fast: $(VENV)/.installed  # in two processes of one thread
	$(MAKE) $(TWO) SELECT='$(SELECT)' INFERENCE='$(INFERENCE)' test-inference test-others

test-inference: $(VENV)/.installed
	NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest $(SELECT) $(INFERENCE)

test-others: $(VENV)/.installed
	NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest $(SELECT) tests gwsurrogate_ml $(INFERENCE:%=--ignore=%)

lint: $(VENV)/.installed  ## style, format, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: $(VENV)/.installed  ## execute the notebooks in place of reading them
	$(BIN)/python notebooks/run.py $(NOTEBOOKS)

docs: $(VENV)/.installed  ## the documentation as a site in out/site; internal links are checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Two at a time, begun in this order: no core idles, and most of what is compiled is there when the second half of the tests begins.
ci: $(VENV)/.installed  ## what continuous integration runs: all tests, lint, the site, the notebooks with fewer draws
	NUMBA_NUM_THREADS=1 $(MAKE) $(TWO) --keep-going NOTEBOOKS=--quick test-inference lint docs test-others notebooks

wheel-check:  ## wheel and sdist, installed without extras for Python 3.11 to 3.13 and used as a new user would
	$(PYTHON) tests/packaging/wheel_check.py

pesummary-check: $(VENV)/.installed  ## our results in bilby_result and PESummary's summarypages, in an environment of their own (downloads)
	$(BIN)/python tests/packaging/pesummary_check.py

NR := .venv-nr/bin
.venv-nr/.installed:
	@command -v gsl-config > /dev/null || { echo "GSL is missing, pyseobnr needs it: apt-get install libgsl-dev"; exit 1; }
	$(PYTHON) -m venv .venv-nr
	$(NR)/pip install --quiet "setuptools==78.1.0" "setuptools_scm<9" cython swig numpy
	PATH="$(CURDIR)/$(NR):$$PATH" $(NR)/pip install --quiet --no-build-isolation pygsl_lite==0.1.8
	$(NR)/pip install --quiet pyseobnr sxs h5py wheel "setuptools<70"
	$(NR)/pip install --quiet --no-build-isolation NRSur7dq2==1.0.6
	$(NR)/pip install --quiet --no-deps -e .
	touch $@

nr: .venv-nr/.installed  ## NR training table and report in out/nr, from GWSML_DATA (needs libgsl-dev: apt-get install libgsl-dev)
	$(NR)/python -m data_prep eob-at-nr --out out/nr/eob_at_nr.npz
	$(NR)/python -m data_prep nr --eob-at-nr out/nr/eob_at_nr.npz --out out/nr

surrogate: nr $(VENV)/.installed  ## the shipped surrogates and remnant model from nothing: waveforms, NR tables, training (about 90 minutes on 2 cores); resumes
	$(NR)/python -m data_prep eob --out out/eob
	$(NR)/python -m data_prep remnants --out out/remnants
	$(NR)/python -m data_prep nrsur7dq2-aligned --out out/aligned
	$(NR)/python -m data_prep nrsur7dq2-aligned --n 512 --seed 777 --out out/aligned-held-out
	$(BIN)/gwsml train surrogate nr22 --set eob=out/eob --set nr=out/nr/nr.npz --out gwsurrogate_ml/models/nr22
	$(BIN)/gwsml train surrogate nrhm --set eob=out/eob --set nr=out/nr/nr.npz --set nrsur7dq2=out/aligned \
	  --set nrsur7dq2_held_out=out/aligned-held-out --out gwsurrogate_ml/models/nrhm
	$(BIN)/gwsml train remnant remnant --set runs=out/remnants/remnants.npz --out gwsurrogate_ml/models/remnant
	$(BIN)/python benchmarks/surrogate_accuracy.py --model nrhm --nr out/nr/nr.npz --eob out/eob

precessing: $(VENV)/.installed .venv-nr/.installed  ## the shipped precessing surrogate from nothing: sets of NRSur7dq2 and SEOBNRv5PHM, fits (about 75 minutes on 2 cores); resumes
	$(NR)/python -m data_prep nrsur7dq2 --out out/precessing/near
	$(NR)/python -m data_prep nrsur7dq2 --out out/precessing/near-other --n 256 --seed 77
	$(NR)/python -m data_prep seobnrv5phm --out out/precessing/beyond
	$(NR)/python -m data_prep seobnrv5phm --out out/precessing/beyond-other --n 128 --seed 88 --inside
	$(BIN)/gwsml train precessing nrphm --set data=out/precessing/near --set validation=out/precessing/near-other \
	  --set beyond=out/precessing/beyond --set beyond_validation=out/precessing/beyond-other --out gwsurrogate_ml/models/nrphm

clean:
	rm -rf $(VENV) out
