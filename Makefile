PYTHON ?= python3
TORCH_INDEX ?=
# What installs, if it is there; with UV= it is pip.
UV ?= uv
# Enough of the real data to see that everything works, in minutes on two cores.
REAL_SCALE ?= colab train_size=2000 validation_size=400 test_size=1000 epochs=3 batch_size=32 \
  widths=32,64,128 corruption_rates=0,0.3,0.5 samples=400
TINY := --set train_size=256 --set epochs=2 --set corruption_rates=0,0.5
PORT ?= 8000
COURSE ?=
BIN := .venv/bin
PARTS := book course slides tests lint

.PHONY: help book claims test lint serve notebooks check-site colab-check real-data course slides pdf experiments lock clean $(PARTS:%=with-%)
# What a shell sets for another Python is not this one's: packages, warnings that end a program, scripts.
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS PYTHONOPTIMIZE PYTHONSTARTUP PYTHONINSPECT
export TORCH_INDEX UV

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: with-book notebooks claims ## execute the chapters that changed and build _build/html
	$(BIN)/jupyter-book build . -W

claims: _build/claims.json ## judge the paper's claims by book/claims.yml

_build/claims.json: book/claims.yml book/results $(wildcard book/results/*) $(wildcard src/earlystop/*.py src/earlystop/*/*.py) | with-book
	$(BIN)/python -m earlystop verify --json $@

test: with-tests ## run the tests
	$(BIN)/python -m pytest tests -n 2 --dist worksteal

lint: with-lint ## check style and types (ruff, pyright)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

serve: ## show the built book at http://localhost:8000 (PORT=...)
	@test -f _build/html/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	@echo "http://localhost:$(PORT)"
	@$(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

notebooks: with-book ## write notebooks/*.ipynb from book/*.md
	$(BIN)/python book/_ext/pairs.py

check-site: with-tests ## test the built book in a browser
	EARLYSTOP_REQUIRE_SITE=1 $(BIN)/python -m pytest tests/test_site.py tests/test_figures_site.py -m "" -n 2 --dist worksteal

colab-check: with-tests ## run every notebook in a fresh environment like Colab's
	EARLYSTOP_COLAB=1 TORCH_INDEX=$(TORCH_INDEX) $(BIN)/python -m pytest tests/test_colab.py -n 2 --dist worksteal

real-data: with-book notebooks ## run the notebooks that ask for a GPU on the real data into _build/real
	@mkdir -p _build/real
	for page in $$(grep -l '^accelerator: GPU' book/[0-9]*.md); do name=$$(basename $$page .md); \
	  EARLYSTOP_SCALE="$(REAL_SCALE)" TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/jupyter execute notebooks/$$name.ipynb \
	    --output "$(CURDIR)/_build/real/$$name.ipynb" || exit 1; \
	done

course: with-course ## write assignments for students, nbgrader and Gradescope into _build/course (COURSE="--chapters 01 --seed 7")
	$(BIN)/python book/_ext/course.py $(COURSE)

slides: with-slides ## write the lectures of book/slides, with figures of the built book, into _build/slides
	@test -f _build/html/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	$(BIN)/python book/_ext/slides.py

pdf: with-tests ## print the whole built book into _build/pdf (needs Chromium)
	@test -f _build/html/index.html || { echo "There is no book yet: run make book first."; exit 1; }
	$(BIN)/python book/_ext/pdf.py

experiments: with-book ## run the paper's figures at its scale with tiny sizes, and our own quickly, into _build/experiments
	for run in "fig1 $(TINY) --set widths=4,8,16 --set losses=least_squares,cross_entropy" "fig3 $(TINY) --set widths=4,8,16" \
	  "fig4ab $(TINY) --set corruption_rates=0.3,0.5 --set width=4" "fig4c --set samples=96 --set epochs=2 --set width=4" "fig5 --set iterations=100"; do \
	  TQDM_DISABLE=1 $(BIN)/python -m earlystop run $$run --scale paper --seeds 1 --out _build/experiments || exit 1; \
	done
	TQDM_DISABLE=1 $(BIN)/python -m earlystop run clocks diffuseness examples proved recipes ridge transient --seeds 1 --out _build/experiments
	TQDM_DISABLE=1 $(BIN)/python -m earlystop run outputscale --seeds 1 --set iterations=100 --set steps=50 --out _build/experiments
	TQDM_DISABLE=1 $(BIN)/python -m earlystop run human league shares stopping structured suspects unstopped --seeds 1 \
	  --set train_size=100 --set epochs=2 --out _build/experiments

clean: ## remove everything that was built, keep the environment
	rm -rf _build

lock: ## choose the newest versions of all that requirements.txt and requirements/ need in turn (needs uv)
	@command -v "$(UV)" >/dev/null || { echo "make lock needs uv (pip install uv)."; exit 1; }
	env -u UV_FIND_LINKS -u UV_EXTRA_INDEX_URL -u UV_INDEX -u UV_CONSTRAINT "$(UV)" pip compile --no-config --quiet --universal \
	  --python-version 3.11 --strip-extras --upgrade --custom-compile-command "make lock" --default-index https://pypi.org/simple \
	  --output-file requirements/lock.txt requirements.txt requirements/tests.txt requirements/lint.txt

# The environment: book/_ext/environment.py decides whether something must be installed.
$(PARTS:%=with-%): with-%:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here: this book needs Python 3.11 to 3.14."; exit 1; }
	@PYTHON_WANTED=$(if $(filter-out file,$(origin PYTHON)),yes) "$(PYTHON)" book/_ext/environment.py $*
