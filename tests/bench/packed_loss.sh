#!/bin/bash
# Bytes and validation loss of a run's model in every packed form: `make demo`, then
#   bash tests/bench/packed_loss.sh configs/demo.jsonc runs/demo [SAMPLES]      of the validation file; all by default
set -euo pipefail
job=$1 run=$2 samples=${3:-0}
tranche=${TRANCHE:-build/release/tranche}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

evaluated() { "$tranche" evaluate "$job" --samples "$samples" --checkpoint "$1" | sed 's/.*validation loss \([0-9.]*\).*/\1/'; }
float=$(evaluated "$run")
printf '%-28s %10s %9s %8s %9s\n' form bytes 'of float' loss 'of that'
printf '%-28s %10s %9s %8s\n' 'as it was trained' '' '' "$float"
row() {  # name, then the options of compress quantize
  local name=$1 said loss
  shift
  said=$("$tranche" compress quantize "$run" -o "$folder/packed" "$@")
  loss=$(evaluated "$folder/packed")
  printf '%-28s %10s %8s%% %8s %+8.2f%%\n' "$name" "$(sed 's/.*, \([0-9]*\) bytes.*/\1/' <<< "$said")" \
    "$(sed 's/.*each, \([0-9.]*\) % .*/\1/' <<< "$said")" "$loss" "$(awk "BEGIN { print 100 * ($loss / $float - 1) }")"
}
row int8-dynamic --scheme int8-dynamic
for method in min-max percentile least-squares kl; do
  "$tranche" calibrate "$run" --method $method -o "$folder/ranges" > /dev/null
  row "int8-static, $method" --scheme int8-static --ranges "$folder/ranges"
done
row int8-weight --scheme int8-weight
for group in 32 64 128; do row "int4-weight, groups of $group" --scheme int4-weight --group $group; done
for group in 32 64 128; do row "int2-weight, groups of $group" --scheme int2-weight --group $group; done
for bits in 4 2; do
  for rounding in gptq awq; do
    for group in 32 64 128; do
      row "int$bits, $rounding, groups of $group" --scheme int$bits-weight --group $group --rounding $rounding
    done
  done
done
row float16 --scheme float16
row bfloat16 --scheme bfloat16
