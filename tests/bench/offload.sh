#!/bin/bash
# What a step costs with offloaded optimizer state, beside one without: GPT-2 124M on two ranks.
#
#   tests/bench/offload.sh [--rounds N] [--steps N]
#
# Wants build/release/tranche (make build), mpirun, Python 3, and 4 GB of disk in TMPDIR, which "nvme" uses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ -x build/release/tranche ]] || { echo "offload: build/release/tranche is missing: make build" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bash tests/bench/text.sh > "$folder/text.txt"
build/release/tranche tokenize --tokenizer byte --output "$folder/text.h5" "$folder/text.txt" > /dev/null 2>&1
python3 tests/bench/offload.py "$folder" "$@"
