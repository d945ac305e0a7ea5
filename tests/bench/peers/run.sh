#!/bin/bash
# Tranche beside PyTorch on the same job, in turns, on two threads: a table of speeds and ratios on standard output.
#
#   tests/bench/peers/run.sh [--job 124m-4x256|124m-1x1024|bytes-12x256] [--dtype float32|bf16] [--rounds N] [--steps N]
#
# Wants build/release/tranche and build/release/tests/bench/ceilings (make bench), Python 3 with its headers and
# venv, and g++ for torch.compile. PyTorch is installed by pip the first time, outside this tree (TRANCHE_PEERS=folder).
# README.md says what was tuned.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
cache=${TRANCHE_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/tranche-peers}
python=$cache/venv/bin/python

for program in build/release/tranche build/release/tests/bench/ceilings; do
  [[ -x $program ]] || { echo "peers: $program is missing: make bench" >&2; exit 1; }
done
if [[ ! -e $cache/installed ]]; then
  echo "peers: installing PyTorch in $cache/venv" >&2
  mkdir -p "$cache"
  python3 -m venv "$cache/venv"
  "$python" -m pip install --quiet --no-cache-dir torch numpy >&2
  touch "$cache/installed"
fi

# What an environment may have been given to please another program.
unset OPENBLAS_CORETYPE MKL_DEBUG_CPU_TYPE DNNL_MAX_CPU_ISA ONEDNN_MAX_CPU_ISA
export TORCHINDUCTOR_CACHE_DIR=$cache/inductor

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bash tests/bench/text.sh > "$folder/text.txt"
build/release/tranche tokenize --tokenizer byte --output "$folder/text.h5" "$folder/text.txt" >&2
"$python" tests/bench/peers/compare.py "$folder" "$@"
