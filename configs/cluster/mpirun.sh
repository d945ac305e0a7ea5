#!/bin/bash
# Runs a job on several hosts with Open MPI: from its newest complete checkpoint if there is one, and again from there if a
# rank or a host is lost.
#
#   configs/cluster/mpirun.sh HOSTFILE RANKS_PER_HOST JOB [tranche train's options...]
#
# HOSTFILE has one host per line, reachable by ssh. The program, the job file and the run's directory have the same path
# on every host (a shared file system). Each rank gets an equal share of its host's cores; set OMP_NUM_THREADS to choose.
set -uo pipefail
hostfile=$1 per_host=$2 job=$3
shift 3
tranche=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../build/release/tranche")
cores=$(nproc)
threads=${OMP_NUM_THREADS:-$((per_host < cores ? cores / per_host : 1))}

options=(
  --hostfile "$hostfile" --map-by "ppr:$per_host:node" --bind-to none
  -x OMP_NUM_THREADS="$threads" -x HDF5_USE_FILE_LOCKING=FALSE
  # A host that has gone is noticed after about six seconds instead of never.
  --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3
  # SIGTERM to mpirun reaches the ranks; they get two minutes, not one second, to finish the step and save it.
  --mca odls_base_sigkill_timeout 120
)
# Ranks that outnumber the cores must not spin while they wait.
if ((per_host * threads > cores)); then options+=(--oversubscribe --mca mpi_yield_when_idle 1); fi

for attempt in 1 2 3 4 5; do
  mpirun "${options[@]}" "$tranche" train "$job" --resume "$@"
  code=$?
  case $code in
    # Done, or refused for a reason that a second try does not change (docs/errors.md), or asked to stop.
    0 | [1-8] | 75) exit $code ;;
  esac
  echo "mpirun.sh: attempt $attempt ended with $code; starting again from the newest complete checkpoint" >&2
  sleep 5
done
exit $code
