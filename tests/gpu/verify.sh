#!/usr/bin/env bash
# What docs/cuda.md says has run on no GPU yet, run on the GPUs of this machine; writes a report as Markdown.
#
#   tests/gpu/verify.sh [--program build/cuda/tranche] [--gpus N] [--large job.json [--peak TFLOPS]] [--quick] [REPORT]
#
# Kernels first, by the tests that are built beside the program (test_gpu_*). Then small jobs train on 1, 2 and 4 GPUs,
# at every stage, with and without offload, in float32 and float16: they must end with the same digest, and their losses
# are compared with the CPU's; collectives go by NCCL, and once through the host. --quick: two GPUs at stage 3, in float32.
# --gpus: how many to use; unless given, all that the driver names. --large: a job (configs/gpt2-124m.jsonc) of which 20
# steps are timed: tokens a second, peaks against the plan, and model FLOP utilisation, for which --peak is what one GPU
# does at most in the job's precision, without sparsity, unless its name is known here. Ends with 1 if anything was not as
# it must be.
set -euo pipefail

program=build/cuda/tranche
gpus=
large=
peak=
large_steps=20
all_numbers="float32 float16" all_ranks="1 2 4" all_stages="0 1 2 3"
while [[ ${1:-} == --* ]]; do
  case $1 in
    --program) program=$2 ;;
    --gpus) gpus=$2 ;;
    --quick) all_numbers=float32 all_ranks=2 all_stages=3 large_steps=3; shift; continue ;;
    --peak) peak=$2 ;;
    --large) large=$2 ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
report=$(realpath -m "${1:-gpu-report.md}")
program=$(realpath "$program")
[[ -z $large ]] || large=$(realpath "$large")
gpus=${gpus:-$(nvidia-smi --list-gpus | wc -l)}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
failures=0

say() { printf '%s\n' "$*" >> "$report"; }
must() {  # must WHAT COMMAND...: a line of the report, and whether it held
  local what=$1
  shift
  if "$@" > log.txt 2>&1; then
    say "| $what | yes |"
  else
    say "| $what | **no**: $(tail -n 1 log.txt) |"
    failures=$((failures + 1))
  fi
}
digest() { "$program" checkpoint digest "$1"; }
losses() { sed -n 's/.*"loss":\([-0-9.e]*\).*/\1/p' "$1/metrics.jsonl"; }
last_of() { sed -n "\$s/.*\"$2\":\([-0-9.e]*\).*/\1/p" "$1/metrics.jsonl"; }

: > "$report"
say "# Tranche on the GPUs of this machine"
say
say "$(date -u +%Y-%m-%d), $("$program" version 2>&1 | head -n 1), $gpus GPUs"
command -v nvidia-smi > /dev/null && { say; say '```'; nvidia-smi --list-gpus >> "$report"; say '```'; }

for line in $(seq 300); do echo "$line: the tranche holds its share of every unit, and sums."; done > text.txt
"$program" tokenize --tokenizer byte --output train.h5 text.txt
cat > job.json <<'JOB'
{"model": {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 16, "vocab_size": 256},
 "data": {"train": "train.h5", "sequence_length": 16},
 "steps": 3, "seed": 5, "train_batch_size": 8, "train_micro_batch_size_per_gpu": 2, "gradient_clipping": 0.5,
 "optimizer": {"type": "AdamW", "params": {"lr": 3e-3, "weight_decay": 0.1}}}
JOB

train() {  # train DIRECTORY RANKS OPTIONS...
  local directory=$1 ranks=$2
  shift 2
  mpirun -np "$ranks" "$program" train job.json --set checkpoint.directory="$directory" "$@"
}
known_peak() {  # TFLOP/s of bfloat16 products, dense, as NVIDIA's data sheets have them
  case $(nvidia-smi --query-gpu=name --format=csv,noheader 2> /dev/null | head -n 1) in
    *A100*) echo 312 ;;
    *H100*PCIe*) echo 756 ;;
    *H100*|*H200*) echo 989 ;;
    *B200*) echo 2250 ;;
  esac
}
# utilisation TOKENS_A_SECOND: Chowdhery et al., PaLM, appendix B: 6 operations a parameter and 12 for each layer, width
# and position that attention looks at, recomputation not counted.
utilisation() {
  local job plan layers width
  job=$("$program" config "$large" | grep '"model":' | head -n 1)
  plan=$("$program" plan "$large" --ranks "$gpus" | head -n 1)
  layers=$(grep -oE '"(n_layer|num_hidden_layers)":[0-9]+' <<< "$job" | head -n 1 | grep -oE '[0-9]+$')
  width=$(grep -oE '"(n_embd|hidden_size)":[0-9]+' <<< "$job" | head -n 1 | grep -oE '[0-9]+$')
  sed -n 's/.* of \([0-9.]*\)\([kMBGT]*\) parameters.* x \([0-9]*\) tokens.*/\1 \2 \3/p' <<< "$plan" |
    awk -v rate="$1" -v layers="$layers" -v width="$width" -v gpus="$gpus" -v peak="${peak:-$(known_peak)}" '{
      many["k"] = 1e3; many["M"] = 1e6; many["B"] = many["G"] = 1e9; many["T"] = 1e12
      count = $1; positions = $NF
      if (NF == 3) count *= many[$2]
      done = rate * (6 * count + 12 * layers * width * positions) / gpus / 1e12
      printf "%.4g TFLOP/s on each GPU", done
      if (peak != "") printf ", %.1f%% of %s", 100 * done / peak, peak
      else printf "; --peak gives what it is of the GPU'"'"'s own"
    }'
}
same_digest() { [[ $(digest "$1") == $(digest "$2") ]] || { echo "the digest is another"; return 1; }; }
near() {  # near A B BOUND: the losses of two runs
  paste <(losses "$1") <(losses "$2") | awk -v bound="$3" '
    { off = $1 - $2; if (off < 0) off = -off; if (off > most) most = off }
    END { printf "the most is %g\n", most; exit !(NR > 0 && most <= bound) }'
}

say
say "| promise | held |"
say "|---|---|"
for tests in "$(dirname "$program")"/tests/gpu/test_gpu_*; do
  [[ -x $tests ]] || continue
  # The host looks at what kernels wrote: it waits for each.
  must "$(basename "$tests")" env CUDA_LAUNCH_BLOCKING=1 "$tests" --gtest_brief=1
done
for numbers in $all_numbers; do
  options=()
  [[ $numbers == float32 ]] || options=(--set fp16.enabled=true --set fp16.initial_scale_power=20 --set fp16.hysteresis=1)
  must "$numbers: trains on one GPU" train "$numbers" 1 --device cuda "${options[@]}"
  must "$numbers: trains on the CPU" train "$numbers-cpu" 1 --device cpu "${options[@]}"
  must "$numbers: the CPU's losses" near "$numbers" "$numbers-cpu" "$([[ $numbers == float32 ]] && echo 1e-4 || echo 1e-2)"
  must "$numbers: trains with CUDA graphs" train "$numbers-graphs" 1 --device cuda "${options[@]}" \
    --set device.cuda_graphs=true
  must "$numbers: the same bits with them" same_digest "$numbers-graphs" "$numbers"
  for ranks in $all_ranks; do
    ((ranks <= gpus)) || { say "| $numbers: $ranks ranks | not run: $gpus GPUs |"; continue; }
    for stage in $all_stages; do
      for offload in none cpu; do
        name=$numbers-$ranks-$stage-$offload
        must "$numbers: trains on $ranks, stage $stage, offload $offload" train "$name" "$ranks" --device cuda \
          "${options[@]}" --set zero_optimization.stage=$stage --set zero_optimization.offload_optimizer.device=$offload
        must "$numbers: the same bits there" same_digest "$name" "$numbers"
      done
    done
  done
  if ((gpus >= 2)); then
    must "$numbers: trains on 2, collectives through the host" train "$numbers-host" 2 --device cuda "${options[@]}" \
      --set zero_optimization.stage=3 --set device.collectives=host
    must "$numbers: the same bits there" same_digest "$numbers-host" "$numbers"
    must "$numbers: trains on 2, sums of NCCL's own" train "$numbers-fast" 2 --device cuda "${options[@]}" \
      --set zero_optimization.stage=2 --set reduction=fast
    must "$numbers: near the canonical sums" near "$numbers-fast" "$numbers" 1e-2
  fi
done

if [[ $large_steps == 3 && -z $large ]]; then large=job.json; fi
if [[ -n $large ]]; then
  say
  say "## $(basename "$large"), $gpus ranks"
  say
  say '```'
  "$program" plan "$large" --device cuda --ranks "$gpus" >> "$report" || failures=$((failures + 1))
  say '```'
  must "it trains for $large_steps steps" mpirun -np "$gpus" "$program" train "$large" --device cuda --set steps="$large_steps" \
    --set checkpoint.directory=large
  must "it trains for $large_steps steps with CUDA graphs" mpirun -np "$gpus" "$program" train "$large" --device cuda \
    --set steps="$large_steps" --set device.cuda_graphs=true --set checkpoint.directory=large-graphs
  say
  say "tokens a second with graphs: $(last_of large-graphs tokens_per_second)"
  say
  say
  used=$(utilisation "$(last_of large tokens_per_second)")
  say "model FLOP utilisation: ${used:-**not known: the plan has another first line**}"
  [[ -n $used ]] || failures=$((failures + 1))
  say
  say "tokens a second: $(last_of large tokens_per_second); peaks: $(sed -n '$s/.*\("peak_bytes":{[^}]*}\).*/\1/p' large/metrics.jsonl)"
fi
say
say "$failures promises were not kept."
echo "$report: $failures promises were not kept"
((failures == 0))
