#!/bin/bash
# What each kind of compression costs in loss, beside the float model that was given the same extra steps: one table.
#
#   tests/bench/compression.sh [FOLDER [STEPS [EXTRA]]]     runs/compression, 1,500 steps of the float model, 500 more
#
# What has lost weights gets twice as many more. Goes on where it was stopped. An hour at most is meant on two cores that are
# idle, which has not been seen yet; losses do not depend on the machine's load. Wants build/release/tranche (make build),
# Python 3, and the King James Bible of Debian's bible-kjv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=${1:-runs/compression}
tranche=build/release/tranche
[[ -x $tranche ]] || { echo "${0##*/}: $tranche is missing: make build" >&2; exit 1; }
mkdir -p "$folder"
if [[ ! -e $folder/validation.h5 ]]; then  # the last twentieth is held out
  bash configs/bible.sh > "$folder/bible.txt"
  bytes=$(stat --format=%s "$folder/bible.txt")
  head -c $((bytes - bytes / 20)) "$folder/bible.txt" > "$folder/train.txt"
  tail -c $((bytes / 20)) "$folder/bible.txt" > "$folder/validation.txt"
  head -c $((bytes / 20)) "$folder/bible.txt" > "$folder/few.txt"
  for part in train few validation; do
    $tranche tokenize --tokenizer byte --output "$folder/$part.h5" "$folder/$part.txt" > /dev/null
  done
fi
exec python3 tests/bench/compression.py "$folder" "${2:-1500}" "${3:-500}"
