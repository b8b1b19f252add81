#!/usr/bin/env bash
# Run once by Gradescope, when it builds the machine that grades: a Python with the book's package, without a GPU.
set -e
cd "$(dirname "$0")"
apt-get update
apt-get install --yes python3-venv
python3 -m venv ../uv
../uv/bin/pip install uv
../uv/bin/uv venv --python '>=3.11,<3.15' ../venv
install() { ../uv/bin/uv pip install --python ../venv/bin/python "$@"; }
install --no-deps --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' requirements.txt)"
install -c lock.txt -r requirements.txt
install --no-deps ./package
