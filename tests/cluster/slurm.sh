#!/usr/bin/env bash
# A real Slurm of one node for tests: slurm.sh start | stop | status. As root, without systemd.
#
# Needs slurm-wlm and munge; with ACCOUNTING=1 slurmdbd and mariadb-server too, for sacct. All it writes is below
# $SLURM_HOME, but for munge's key, a name for 127.0.0.1 and what links to its configuration. PORT is the first of three.
set -euo pipefail

home=${SLURM_HOME:-${TMPDIR:-/tmp}/attnbench-slurm}
port=${PORT:-27917}
accounting=${ACCOUNTING:-0}
export SLURM_CONF=$home/etc/slurm.conf

# Limits are kept by control groups of version 1 where the machine has them, and by nobody elsewhere.
limits() {
  if [[ -d /sys/fs/cgroup/memory && -d /sys/fs/cgroup/cpuset ]]; then
    printf '%s\n' ProctrackType=proctrack/cgroup TaskPlugin=task/cgroup,task/affinity \
      JobAcctGatherType=jobacct_gather/cgroup
  else
    printf '%s\n' ProctrackType=proctrack/linuxproc TaskPlugin=task/affinity JobAcctGatherType=jobacct_gather/linux
  fi
}

where_accounts_go() {
  if [[ $accounting == 1 ]]; then
    printf '%s\n' AccountingStorageType=accounting_storage/slurmdbd "AccountingStorageHost=$node" \
      "AccountingStoragePort=$((port + 2))"
  else
    echo AccountingStorageType=accounting_storage/none
  fi
}

configure() {
  node=$(hostname -s)
  local cores memory_mib
  cores=$(nproc --all)
  memory_mib=$(($(awk '/MemTotal/ { print $2 }' /proc/meminfo) / 1024 - 1024))
  mkdir -p "$home"/{etc,state,spool,log,run}
  getent hosts "$node" >/dev/null || echo "127.0.0.1 $node" >>/etc/hosts
  cat >"$SLURM_CONF" <<CONF
ClusterName=attnbench
SlurmctldHost=$node
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/run/slurmctld.pid
SlurmdPidFile=$home/run/slurmd.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/slurmd.log
$(limits)
JobAcctGatherFrequency=task=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=5
ReturnToService=2
MpiDefault=none
KillWait=2
MinJobAge=600
InactiveLimit=0
SlurmctldTimeout=60
SlurmdTimeout=60
MaxArraySize=1001
$(where_accounts_go)
DefMemPerCPU=1000
NodeName=$node CPUs=$cores Boards=1 SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=$memory_mib
PartitionName=whole Nodes=$node Default=YES OverSubscribe=EXCLUSIVE MaxTime=60 DefaultTime=10 State=UP
PartitionName=shared Nodes=$node OverSubscribe=NO MaxTime=60 DefaultTime=10 State=UP
CONF
  cat >"$home/etc/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=yes
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
AllowedSwapSpace=0
CONF
  mkdir -p /etc/slurm
  ln -sfn "$home/etc/cgroup.conf" /etc/slurm/cgroup.conf
}

start_munge() {
  install -d -o munge -g munge -m 755 /run/munge
  if [[ ! -s /etc/munge/munge.key ]]; then
    (umask 077 && head -c 128 /dev/urandom >/etc/munge/munge.key)
    chown munge: /etc/munge/munge.key
  fi
  if ! munge -n >/dev/null 2>&1; then
    runuser -u munge -- /usr/sbin/munged
    cp /run/munge/munged.pid "$home/run/munged.pid" # ours, and nobody else's, to stop
  fi
}

start_accounting() {
  cat >"$home/etc/slurmdbd.conf" <<CONF
AuthType=auth/munge
DbdHost=$node
DbdPort=$((port + 2))
SlurmUser=root
LogFile=$home/log/slurmdbd.log
PidFile=$home/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StoragePass=x
StorageLoc=slurm_acct
CONF
  chmod 600 "$home/etc/slurmdbd.conf"
  ln -sfn "$home/etc/slurmdbd.conf" /etc/slurm/slurmdbd.conf
  install -d -o mysql /run/mysqld
  [[ -d /var/lib/mysql/mysql ]] || mariadb-install-db --user=mysql --datadir=/var/lib/mysql >/dev/null
  if ! mariadb-admin ping >/dev/null 2>&1; then
    runuser -u mysql -- mariadbd --skip-networking --pid-file=/run/mysqld/mariadbd.pid >"$home/log/mariadb.log" 2>&1 &
    await mariadb-admin ping
    cp /run/mysqld/mariadbd.pid "$home/run/mariadbd.pid" # where its user may write
  fi
  slurmdbd
  await sacctmgr -n show cluster
  sacctmgr -i add cluster attnbench >/dev/null 2>&1 || true
}

# Wait until a command succeeds, for 15 seconds at most.
await() {
  for _ in $(seq 60); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.25
  done
  echo "$1 does not answer; see $home/log" >&2
  return 1
}

is_idle() {
  sinfo --noheader --format=%t | grep --quiet idle
}

start() {
  configure
  start_munge
  if [[ $accounting == 1 ]]; then start_accounting; fi
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF" -N "$node" >/dev/null 2>&1
  await is_idle
  echo "export SLURM_CONF=$SLURM_CONF"
}

has_no_jobs() {
  [[ -z $(squeue --noheader --states=RUNNING,COMPLETING) ]]
}

# A process that nobody asks for its exit status is over all the same.
is_over() {
  [[ ! -r /proc/$1/status ]] || grep --quiet '^State:.Z' "/proc/$1/status"
}

# End all jobs, and every process that start began.
stop() {
  local name file pid
  if scancel --user=root 2>/dev/null; then await has_no_jobs; fi
  for name in slurmd slurmctld slurmdbd mariadbd munged; do
    file=$home/run/$name.pid
    [[ -s $file ]] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || true
    await is_over "$pid"
    rm -f "$file"
  done
}

case ${1:-} in
  start | stop) "$1" ;;
  status) sinfo && squeue ;;
  *) echo "$0 start | stop | status" >&2 && exit 2 ;;
esac
