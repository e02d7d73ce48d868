"""A cluster as a batch script for Slurm: one allocation, one Ray cluster, one production."""

from catalogtool.distributed.launcher import ClusterShape

_SCRIPT = """\
#!/bin/bash
# One production on {nodes} nodes. The words after the script are those of 'catalogtool produce':
#   sbatch {name}.sbatch --survey clash --input /shared/clash --output /shared/results
# catalogtool and Ray must be on the PATH of all nodes, and the home folder must be shared. A job
# that is ended and queued again goes on where it was.
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={cpus}
{optional}#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
umask 077

export RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="${{RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}}"
if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
  mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
  od -An -N32 -tx1 /dev/urandom | tr -d ' \\n' > "$RAY_AUTH_TOKEN_PATH"
fi

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${{nodes%%[[:space:]]*}}
addresses=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address)
address=${{addresses%%[[:space:]]*}}:6379
srun ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \\
  --num-cpus={cpus} --num-gpus={gpus} \\
  -- env -u CATALOGTOOL_CLUSTER RAY_ADDRESS="$address" catalogtool produce "$@"
"""


def sbatch_script(shape: ClusterShape) -> str:
    """Write the script; its nodes are those of the group that does most.

    Parameters
    ----------
    shape : ClusterShape
        The cluster.
    """
    group = shape.largest
    optional = ""
    if group.memory_bytes:
        optional += f"#SBATCH --mem={group.memory_bytes >> 20}M\n"
    if group.gpus:
        optional += f"#SBATCH --gpus-per-node={group.gpus}\n"
    return _SCRIPT.format(
        name=shape.name,
        nodes=group.max_nodes,
        cpus=group.cpus,
        gpus=group.gpus,
        optional=optional,
    )
