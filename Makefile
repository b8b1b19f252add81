PYTHON ?= python3
TORCH_INDEX ?=
# Enough of the real data to see that everything works, in minutes on two cores.
REAL_SCALE ?= colab train_size=2000 validation_size=400 test_size=1000 epochs=3 batch_size=32 \
  widths=32,64,128 corruption_rates=0,0.3,0.5 samples=400
TINY := --set train_size=256 --set epochs=2 --set corruption_rates=0,0.5
PORT ?= 8000
COURSE ?=
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help book test serve notebooks check-site colab-check real-data course slides experiments clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(STAMP) notebooks ## execute the chapters that changed and build _build/html
	$(BIN)/jupyter-book build . -W

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest tests -n 2 --dist worksteal

serve: ## show the built book at http://localhost:8000 (PORT=...)
	@test -f _build/html/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	@echo "http://localhost:$(PORT)"
	@$(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

notebooks: $(STAMP) ## write notebooks/*.ipynb from book/*.md
	$(BIN)/python book/_ext/pairs.py

check-site: $(STAMP) ## test the built book in a browser
	EARLYSTOP_REQUIRE_SITE=1 $(BIN)/python -m pytest tests/test_site.py -m ""

colab-check: $(STAMP) ## run every notebook in a fresh environment like Colab's
	EARLYSTOP_COLAB=1 TORCH_INDEX=$(TORCH_INDEX) $(BIN)/python -m pytest tests/test_colab.py

real-data: $(STAMP) notebooks ## run notebooks 04 to 06 on the real data into _build/real
	@mkdir -p _build/real
	for name in 04_mnist 05_cifar10 06_jacobian; do \
	  EARLYSTOP_SCALE="$(REAL_SCALE)" TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/jupyter execute notebooks/$$name.ipynb \
	    --output "$(CURDIR)/_build/real/$$name.ipynb" || exit 1; \
	done

course: $(STAMP) ## write assignments for students and nbgrader into _build/course (COURSE="--chapters 01 --seed 7")
	$(BIN)/python book/_ext/course.py $(COURSE)

slides: $(STAMP) ## write slides from the executed chapters into _build/slides
	@test -f _build/html/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	$(BIN)/python book/_ext/slides.py

experiments: $(STAMP) ## run every experiment at the paper's scale with tiny sizes into _build/experiments
	for run in "fig1 $(TINY) --set widths=4,8,16 --set losses=least_squares,cross_entropy" "fig3 $(TINY) --set widths=4,8,16" \
	  "fig4ab $(TINY) --set corruption_rates=0.3,0.5 --set width=4" "fig4c --set samples=96 --set epochs=2 --set width=4" "fig5 --set iterations=100"; do \
	  TQDM_DISABLE=1 $(BIN)/python -m earlystop run $$run --scale paper --seeds 1 --out _build/experiments || exit 1; \
	done

clean: ## remove everything that was built, keep the environment
	rm -rf _build

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "This book needs Python 3.10 or newer, and $(PYTHON) is `$(PYTHON) --version 2>&1`."; \
	  echo "Name a newer one, for example: make book PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(if $(TORCH_INDEX),$(BIN)/pip install "`grep '^torch==' requirements.txt`" --index-url $(TORCH_INDEX))
	$(BIN)/pip install -r requirements.txt
	$(BIN)/pip install --no-deps --editable .
	@touch $(STAMP)
