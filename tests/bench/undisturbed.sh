#!/bin/bash
# Whether `tranche launch` stays silent about 4 ranks to which nothing happens, for SECONDS (3600). Ends with 1 if it said
# anything of them.
#
#   tests/bench/undisturbed.sh [SECONDS]
#
# Wants build/release/tranche (make build), mpirun and Python 3.
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"
python3 tests/bench/undisturbed.py "$folder" "$@"
