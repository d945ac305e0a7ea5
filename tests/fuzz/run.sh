#!/bin/bash
# run.sh SECONDS: every fuzzer for so long, all at once, from the inputs beside this file. An input that breaks something
# stays in build/fuzz, and is shown.
set -uo pipefail
seconds=$1
seeds=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$seeds/../../build/fuzz"

declare -A running
for name in control_messages http_requests; do
  mkdir -p "corpus/$name"
  "./fuzz_$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$name-" "corpus/$name" "$seeds/$name" > "$name.log" 2>&1 &
  running[$name]=$!
done
failed=0
for name in "${!running[@]}"; do
  if wait "${running[$name]}"; then
    echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$name.log") inputs, nothing found"
  else
    echo "fuzz: $name failed:"
    tail -40 "$name.log"
    failed=1
  fi
done
exit $failed
