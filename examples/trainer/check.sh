#!/usr/bin/env bash
# Runs the example trainer for real, with a Python and a numpy of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! python3 -m venv "$work/venv" >"$work/log" 2>&1; then
  echo "NOT RUN: python3 with venv is not installed"
  exit 0
fi
if ! "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r examples/trainer/requirements.txt >"$work/log" 2>&1; then
  echo "NOT RUN: numpy cannot be installed: $(tail -n 1 "$work/log")"
  exit 0
fi
go run examples/trainer/check.go "$work/venv/bin/python3" examples/trainer/train.py
