#!/bin/bash
# Runs a job on hosts that ssh reaches, from its newest complete checkpoint if there is one, until it is done.
#
#   configs/cluster/hosts.sh HOSTFILE JOB [tranche launch's options...]
#
# HOSTFILE has a line "NAME slots=N" for each host. Before the start each host is asked whether it has the same program
# and sees this folder, as a shared file system; what is wrong is told for all hosts at once, with exit code 2. Paths in
# JOB begin in the folder where this is called.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment"
if (($# < 2)); then
  echo "hosts.sh: expected HOSTFILE JOB [tranche launch's options...]" >&2
  exit 2
fi
hostfile=$1 job=$2
shift 2
program=$(realpath "$TRANCHE")
# The one that mpirun uses too.
read -ra ssh <<< "${OMPI_MCA_plm_rsh_agent:-ssh -o ConnectTimeout=10 -o BatchMode=yes}"

# What a host must say: the program's checksum, and a word that lies in this folder.
mark=$(mktemp .tranche-hosts-XXXXXX) || exit 8
trap 'rm -f "$mark"' EXIT
echo "$RANDOM$RANDOM" > "$mark"
words=$(printf 'sha256sum < %q; cat %q' "$program" "$PWD/$mark")
expected=$(bash -c "$words")
wrong=0
while read -r host _; do
  if ! answer=$("${ssh[@]}" "$host" "$words" < /dev/null); then
    echo "hosts.sh: $host: cannot be reached by ${ssh[0]}, or has no $program, or does not see $PWD" >&2
  elif [[ $answer != "$expected" ]]; then
    echo "hosts.sh: $host: has another $program, or another $PWD" >&2
  else
    continue
  fi
  wrong=1
done < <(sed 's/#.*//' "$hostfile" | awk 'NF')
rm -f "$mark"
if ((wrong)); then exit 2; fi
exec "$program" launch --hostfile "$hostfile" --resume "$job" "$@"
