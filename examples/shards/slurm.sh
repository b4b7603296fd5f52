#!/bin/bash
#SBATCH --job-name=embed
#SBATCH --time=04:00:00
#SBATCH --open-mode=append
#
# A job file in shards, one a task of a Slurm array, and the run that joins them:
#
#   export SHARDS=8
#   array=$(sbatch --parsable --array=1-$SHARDS slurm.sh jobs.yaml)
#   sbatch --dependency=afterok:$array slurm.sh jobs.yaml
#
# One shard alone again: sbatch --array=3 slurm.sh jobs.yaml
set -eu

job_file=${1:-jobs.yaml}
ledgers=${LEDGERS:-ledgers} # on the disk that all nodes see: what is finished, as portable files
shard=${SLURM_ARRAY_TASK_ID:-}
[ -z "$shard" ] || : "${SHARDS:?says how many shards there are: export SHARDS=8}"

# The state is a database, and stays on a disk of the node: what a network file system does to locks would harm it.
state=$(mktemp -d "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/asyncrun-XXXXXX")
trap 'rm -rf "$state"' EXIT
mkdir -p "$ledgers"

if [ -z "$shard" ]; then
  asyncrun ledger import "$ledgers"/shard-*.jsonl -f "$job_file" --state-dir "$state"
  asyncrun run "$job_file" --state-dir "$state"
  exit
fi

finished=$ledgers/shard-$shard-of-$SHARDS.jsonl
if [ -e "$finished" ]; then # of a task that ended before its time
  asyncrun ledger import "$finished" -f "$job_file" --state-dir "$state" --quiet
fi

code=0
asyncrun run "$job_file" --state-dir "$state" --shard "$shard/$SHARDS" --max-runtime "${MAX_RUNTIME:-210m}" || code=$?
if [ "$code" = 2 ]; then # nothing ran: the job file or a flag is wrong
  exit 2
fi
asyncrun ledger export -f "$job_file" --state-dir "$state" -o "$finished" --quiet

if [ "$code" = 75 ] && [ -n "${SLURM_JOB_ID:-}" ]; then # not done in time, or the server was down: the same task again
  scontrol requeue "$SLURM_JOB_ID"
fi
if [ "$code" = 3 ]; then # some texts failed: the run that joins says which
  code=0
fi
exit "$code"
