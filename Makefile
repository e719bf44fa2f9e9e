# Everything runs in a virtual environment that the first call makes. Needs Python 3.11 or 3.12, make and a C compiler (for pyworld).
# On Linux without a GPU, PyPI's torch brings gigabytes of CUDA libraries. To take the small build instead:
#   make install TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"

VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TORCH  ?= torch==2.13.0
CORPUS ?= data/lime
SCALE  ?= 1
IS_3_11_OR_3_12 := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p $(IS_3_11_OR_3_12) 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install tour test check format notebooks lab demo data train train-smol

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: $(STAMP)  ## make .venv and install cogviz with everything optional (once)

tour: $(STAMP)  ## run the main job on the shipped samples -> reports/tour/index.html
	$(BIN)/cogviz report

test: $(STAMP)  ## run the tests
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 MPLBACKEND=Agg $(BIN)/pytest -n 2 $(ARGS)

check: $(STAMP)  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## put imports and code into the one format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

notebooks: $(STAMP)  ## execute every notebook -> reports/notebooks/*.html
	$(BIN)/python docs/make_course.py $(ARGS)

lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks/README.md

demo: $(STAMP)  ## start the demo in the browser
	$(BIN)/cogviz demo $(ARGS)

data: $(STAMP)  ## build the LIME speech -> data/lime (resumes where it was stopped)
	$(BIN)/cogviz lime build $(CORPUS) $(ARGS)

train: $(STAMP)  ## train the nano models on data/lime (resumes where it was stopped)
	$(BIN)/cogviz weights fetch openai/whisper-tiny.en
	$(BIN)/cogviz train nano-baseline nano-explicit nano-implicit nano-aligned --data $(CORPUS) --output runs $(ARGS)

train-smol: $(STAMP)  ## build speech with an open vocabulary and train the smol models on it (minutes on a GPU; on a CPU SCALE=0.1)
	$(BIN)/cogviz weights fetch
	$(BIN)/cogviz lime build $(CORPUS)-smol --plan smol
	$(BIN)/cogviz train smol-baseline smol-explicit smol-implicit smol-aligned --data $(CORPUS)-smol --output runs --scale $(SCALE) $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) $(IS_3_11_OR_3_12) 2>/dev/null || \
	  { echo "cogviz needs Python 3.11 or 3.12: install one of them, or name it with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@
