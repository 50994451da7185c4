#!/usr/bin/env bash
# The lowest releases that pyproject.toml admits, in an environment of their own (VENV), must pass what touches them all.
# The newest are what `make` installs.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export VIRTUAL_ENV=${VENV:-build/lowest}
"$python" -m venv "$VIRTUAL_ENV"
# pip takes torch from where it takes it for `make`; uv resolves the rest around it.
pins=$(sed -n 's/^ *"\(torch\(vision\)\?==[0-9.]*\)",/\1/p' pyproject.toml)
"$VIRTUAL_ENV/bin/pip" install --quiet --disable-pip-version-check uv $pins
"$VIRTUAL_ENV/bin/uv" pip install --quiet --resolution lowest-direct --editable '.[test,notebooks,hls4ml,docs,hw]'
"$VIRTUAL_ENV/bin/ssmq" doctor
# One file at least for each of them; test_kernel_cache.py for numba's caching and filelock.
exec "$VIRTUAL_ENV/bin/pytest" -q -n auto --dist loadfile tests/test_doctests.py \
    tests/ssmq_brevitas/test_{train,config,kernel_cache}.py tests/ssmq_export/test_{graphs,public}.py \
    tests/ssmq_study/test_{search,search_storage,sensitivity,report,result_files}.py \
    tests/acceptance/test_{cli,terminal,site,view}.py
