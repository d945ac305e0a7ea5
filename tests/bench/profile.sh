#!/bin/bash
# Where the time of a step of GPT-2 124M goes: a markdown table on standard output.
#
#   tests/bench/profile.sh [--seconds N] [--samples N] [--length N] [--float32]
#
# Wants build/release/tranche (make build), Python 3 and perf (Debian's linux-perf), with the right to use it.
command -v perf > /dev/null || { echo "profile: perf is missing: Debian's linux-perf" >&2; exit 1; }
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"
python3 tests/bench/profile.py "$folder" "$@"
