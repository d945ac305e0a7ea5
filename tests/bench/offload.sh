#!/bin/bash
# What a step costs with offloaded optimizer state, beside one without: GPT-2 124M on two ranks.
#
#   tests/bench/offload.sh [--rounds N] [--steps N]
#
# Wants build/release/tranche (make build), mpirun, Python 3, and 4 GB of disk in TMPDIR, which "nvme" uses.
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"
python3 tests/bench/offload.py "$folder" "$@"
