#!/bin/bash
# What a step, a save and a start cost as work grows: markdown tables on standard output.
#
#   tests/bench/scaling.sh [--only steps|ranks|stages|start|checkpoints] [--steps N]
#
# Wants build/release/tranche (make build), Python 3, and 3 GB of disk in TMPDIR, whose file system is what is measured.
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"
python3 tests/bench/scaling.py "$folder" "$@"
