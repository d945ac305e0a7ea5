#!/bin/bash
# What a step, a save and a start cost as work grows: markdown tables on standard output.
#
#   tests/bench/scaling.sh [--only steps|ranks|start|checkpoints] [--steps N]
#
# Wants build/release/tranche (make build), Python 3, and 3 GB of disk in TMPDIR, whose file system is what is measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ -x build/release/tranche ]] || { echo "scaling: build/release/tranche is missing: make build" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bash tests/bench/text.sh > "$folder/text.txt"
build/release/tranche tokenize --tokenizer byte --output "$folder/text.h5" "$folder/text.txt" > /dev/null 2>&1
python3 tests/bench/scaling.py "$folder" "$@"
