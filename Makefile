# Needs make and Python 3.11 to 3.13 with venv. Another interpreter: make PYTHON=python3.12
PYTHON ?= python3
RUN = .venv/bin/python

.PHONY: run test lint lab notebooks bench workshop slides voc address help install

run: .venv/installed        ## run the six notebooks on copies: minutes later a trained detector and its mAP
	$(RUN) notebooks/scripts/run_notebooks.py

test: .venv/installed       ## run the unit tests, and compare each notebook's stored outputs with fresh ones
	$(RUN) -m pytest --nbval

lint: .venv/installed       ## check the style of the code: ruff check and ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

lab: .venv/installed        ## open the notebooks in JupyterLab
	$(RUN) -m jupyter lab notebooks

notebooks: .venv/installed  ## execute the six notebooks anew and store their outputs and data/reference/
	$(RUN) notebooks/scripts/run_notebooks.py --store

bench: .venv/installed      ## measure speed and memory in ratios within one run, for data/reference/bench.md
	$(RUN) tests/tools/bench.py

workshop: .venv/installed   ## make the student edition, the solutions and a zip for a room without a network
	$(RUN) notebooks/scripts/workshop.py $(if $(filter no,$(SOLUTIONS)),--without-solutions)

slides: .venv/installed     ## export the key figures of the chapters as slides of 1920 x 1080 pixels
	$(RUN) notebooks/scripts/slides.py

voc: .venv/installed        ## download the real Pascal VOC 2012 (2 GB) to data/VOCdevkit
	$(RUN) data/fetch_voc.py

# `make address OWNER/NAME` hands its second word on to the script. To make, this word
# is one more target, so it gets an empty recipe. ADDRESS=OWNER/NAME does the same.
# Variables of the shell do not count, only those of the command line.
ifeq (address,$(firstword $(MAKECMDGOALS)))
ifneq (command line,$(origin ADDRESS))
ADDRESS := $(word 2,$(MAKECMDGOALS))
endif
ifneq (command line,$(origin VERSION))
VERSION :=
endif
ifneq (,$(word 2,$(MAKECMDGOALS)))
.PHONY: $(word 2,$(MAKECMDGOALS))
$(word 2,$(MAKECMDGOALS)): ; @:
endif
endif

address:                    ## make address OWNER/NAME [VERSION=TAG]: write the repository's address everywhere
	@$(PYTHON) notebooks/scripts/address.py $(ADDRESS) $(if $(VERSION),--version $(VERSION))

install: .venv/installed    ## only install what the notebooks need into .venv

help:                       ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

# The stamp is written last, so an interrupted installation is repeated.
.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
