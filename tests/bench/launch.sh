#!/bin/bash
# What `tranche launch` costs: until the first step is done, and, with somebody at its page, of each step. Two ranks.
#
#   tests/bench/launch.sh [--rounds N] [--steps N]
#
# Wants build/release/tranche (make build), mpirun and Python 3.
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"
python3 tests/bench/launch.py "$folder" "$@"
