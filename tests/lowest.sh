#!/usr/bin/env bash
# Runs the test suite on the lowest versions that pyproject.toml allows: direct dependencies exactly at their floors
# (read from pyproject.toml by tests/lowest_versions.py), everything else as pip resolves it today.
#
#   tests/lowest.sh                        all floors, torch's too (its build for Linux brings gigabytes of CUDA along)
#   LOWEST_TORCH=2.13.0 tests/lowest.sh    torch at this version; torch's own floor is then NOT proved by this run
#   LOWEST_VENV=DIR                        where the environment is made anew (default .lowest-venv)
#   arguments                              go to pytest (default: -n 2)
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${LOWEST_VENV:-.lowest-venv}
rm -rf "$venv"
python3 -m venv "$venv"
arguments=(--extra test)
if [ -n "${LOWEST_TORCH:-}" ]; then
  echo "torch stands at $LOWEST_TORCH: this run proves every floor but torch's"
  arguments+=(--torch "$LOWEST_TORCH")
fi
"$venv/bin/python" tests/lowest_versions.py "${arguments[@]}" | tee "$venv/lowest.txt"
"$venv/bin/pip" install -q -r "$venv/lowest.txt"
"$venv/bin/pip" install -q --no-deps -e .
"$venv/bin/pip" check
[ "$#" -gt 0 ] || set -- -n 2
"$venv/bin/pytest" "$@"
