#!/bin/bash
# The demo behind `make demo`: trains a small byte-level GPT on real text with two ranks (stage 3, float16 with dynamic
# loss scaling), kills it in the middle, resumes it on another number of ranks, and shows what it learned.
#
#   configs/demo.sh [TEXT]     without TEXT: the King James Bible of Debian's bible-kjv
#
# Everything goes to runs/demo, which is emptied first. The last line reads
#   demo: ok, validation loss L nats per byte, S s
set -euo pipefail
text=${1:+$(realpath "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Ranks may outnumber cores, and the user may be root.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none

started=$SECONDS
run=runs/demo
tranche=build/release/tranche
job=configs/demo.jsonc
resume_on=${RESUME_ON:-3}      # ranks
limit=1.45                     # nats per byte, on the default text

say() { echo "demo: $*"; }
give_up() { echo "demo: failed: $*" >&2; exit 1; }
checkpoints() { compgen -G "$run/step-*/manifest.json" | wc -l; }

rm -rf "$run"
mkdir -p "$run"

# The last twentieth is held out.
if [[ -z $text ]]; then
  text=$run/bible.txt
  bash configs/bible.sh > "$text"
fi
bytes=$(stat --format=%s "$text")
held_out=$((bytes / 20))
head -c $((bytes - held_out)) "$text" > $run/train.txt
tail -c $held_out "$text" > $run/validation.txt
say "$((bytes - held_out)) bytes to learn from, $held_out held out"
for part in train validation; do
  $tranche tokenize --tokenizer byte --output $run/$part.h5 $run/$part.txt
done

say "training on 2 ranks, to be killed after the second checkpoint"
mpirun -np 2 $tranche train $job &
job_id=$!
trap 'kill $job_id 2> /dev/null || true' EXIT   # also when this script is stopped
until [[ $(checkpoints) -ge 2 ]]; do
  kill -0 $job_id 2> /dev/null || give_up "training ended before its second checkpoint"
  sleep 0.2
done
sleep 1                        # into the next steps, which will be lost
ranks=($(< /proc/$job_id/task/$job_id/children))
kill -9 "${ranks[-1]}"
if wait $job_id; then give_up "training was to be killed and ended well"; fi
trap - EXIT
say "killed one rank of two; resuming on $resume_on"

mpirun -np "$resume_on" $tranche train $job --resume || give_up "the resumed run exited with $?"

say "a sample:"
$tranche generate $run --prompt "And the LORD said " --tokens 300 --seed 1
evaluation=$($tranche evaluate "$job")
echo "$evaluation"
loss=$(sed -nE 's/.*validation loss ([0-9.]+) nats per .*/\1/p' <<< "$evaluation" | tail -1)
[[ -n $loss ]] || give_up "no validation loss was printed"
if [[ $text == "$run/bible.txt" ]]; then
  awk "BEGIN { exit !($loss <= $limit) }" || give_up "validation loss $loss nats per byte, more than $limit"
fi
say "ok, validation loss $loss nats per byte, $((SECONDS - started)) s"
