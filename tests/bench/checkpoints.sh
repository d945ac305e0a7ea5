#!/bin/bash
# How long training waits for a checkpoint, saved at once and beside the steps: GPT-2 124M on two ranks.
#
#   tests/bench/checkpoints.sh [--saves N]
#
# Wants build/release/tranche (make build), mpirun, Python 3, and 6 GB of disk in TMPDIR.
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"
python3 tests/bench/checkpoints.py "$folder" "$@"
