# Needs make and Python 3.11 to 3.13 with venv. Another interpreter: make PYTHON=python3.12
PYTHON ?= python3
RUN = .venv/bin/python

.PHONY: run test lab notebooks bench voc

run: .venv/installed      ## the six notebooks in order, on copies: minutes later a detector and its mAP
	$(RUN) notebooks/scripts/run_notebooks.py

test: .venv/installed     ## unit tests, and every notebook's stored outputs against fresh ones
	$(RUN) -m pytest --nbval

lab: .venv/installed      ## open the notebooks
	$(RUN) -m jupyter lab notebooks

notebooks: .venv/installed  ## execute the six anew and store their outputs and data/reference/
	$(RUN) notebooks/scripts/run_notebooks.py --store

bench: .venv/installed    ## how fast it is, in ratios measured within one run: prints and stores data/reference/bench.md
	$(RUN) tests/tools/bench.py

voc: .venv/installed      ## the real Pascal VOC2012 into data/VOCdevkit: 2 GB to download, goes on where it was interrupted
	$(RUN) data/fetch_voc.py

.PHONY: .venv
.venv: .venv/installed    ## only install

# the stamp is written last: an interrupted install is repeated, a changed requirements.txt noticed
.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
