#!/usr/bin/env bash
# What only a CUDA GPU can show, into results/gpu.json; exit code 1 if anything differs from the CPU or fails.
#
#   scripts/gpu_check.sh DATA        DATA is torchvision's folder of MNIST, fetched into it where it is missing
#   scripts/gpu_check.sh --dry-run   the same way on the CPU, small, into build/gpu-dry-run.json
#
# PYTHON names an interpreter with the package's needs; without it they are installed into .venv from PyPI.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${PYTHON:-}" ]; then
  make -C "$root" .venv/.installed
  PYTHON=$root/.venv/bin/python
fi
export PYTHONPATH="$root:$root/export${PYTHONPATH:+:$PYTHONPATH}"
exec "$PYTHON" "$root/scripts/gpu_check.py" "$@"
