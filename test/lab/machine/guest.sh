# shellcheck shell=bash disable=SC2034,SC2154,SC2317
# What all guests have in common: their directory, consoles, signals and end. Sourced by test/lab/run together with
# the file of one kind of guest (uml.sh, qemu.sh), which defines
#   prepare   finds what the kernel needs, or fails; sets `memory`, the directory for this run's files, `modules`,
#             the directory of the kernel's modules, and `console`, the name of the guest's consoles (tty, hvc)
#   kernel    replaces this process by the kernel, with consoles 1 and 2 on descriptors 3 and 4 (output), 3 on
#             descriptor 5 (signals) and 4 on 6 and 7 (stdin); its own messages go to stdout; descriptor 9 stays open

# shellcheck source-path=SCRIPTDIR/..
. "$lab/machine/await.sh"
. "$lab/machine/fresh.sh"
. "$lab/machine/processors.sh"
. "$lab/machine/why.sh"

guest() {
  feeder='' sinks=()
  prepare
  find_cpu

  state=$(mktemp -d "$memory/ipvs-nl-lab.XXXXXX")
  watch_over
  describe "$@"

  # Many small mappings are what a guest process with a large heap costs its host; too few, and it dies.
  if [[ -w /proc/sys/vm/max_map_count && $(</proc/sys/vm/max_map_count) -lt 1048576 ]]; then
    echo 1048576 2>/dev/null >/proc/sys/vm/max_map_count || true
  fi

  boot
  await "$@"
}

# Cleans up after this script, however it ends: a process of another session that waits for the end of
# the pipe that only this script holds. What comes through the pipe is the kernel's process group.
watch_over() {
  # shellcheck disable=SC2016 # for the other shell to expand
  exec {guard}> >(exec setsid bash -c '
    read -r machine
    read -r _
    [[ -z $machine ]] || kill -KILL -- "$machine" "-$machine"
    rm -rf "$1"' guard "$state" >/dev/null 2>&1)
  guardian=$!
  trap finish EXIT
}

finish() {
  trap '' INT TERM HUP
  # One that has ended may have given its process id to another.
  if [[ -n $feeder ]] && jobs -rp | grep -qx "$feeder"; then
    { pkill -P "$feeder"; kill "$feeder"; } 2>/dev/null || true
  fi
  exec {guard}>&-
  wait "$guardian" || true
}

# Of the allowed processors, one with the fewest running processes. Some containers deny the choice.
find_cpu() {
  pin=()
  [[ ${LAB_CPU:-} != all ]] || return 0
  local allowed
  mapfile -t allowed < <(allowed_processors)
  cpu=${LAB_CPU:-$({ ps -eo psr=,stat= 2>/dev/null || true; } | awk -v allowed="${allowed[*]}" -v seed=$$ '
    $2 ~ /^R/ { running[$1]++ }
    END {
      count = split(allowed, ours, " ")
      for (i = 0; i < count; i++) {
        c = ours[(i + seed) % count + 1]
        if (best == "" || running[c] + 0 < running[best] + 0) best = c
      }
      print best
    }')}
  if taskset -c "$cpu" true 2>/dev/null; then
    pin=(taskset -c "$cpu")
  elif [[ -n ${LAB_CPU:-} ]]; then
    fail "LAB_CPU=$cpu is denied, or none of this process's processors (${allowed[*]}); without LAB_CPU the lab takes what it gets"
  fi
}

# Sets `memory` to the first directory that has room for this run's files. The machine's own file may define `unfit`,
# which prints what else is wrong with a directory.
find_room() { # MEGABYTES ERROR DIRECTORY…
  local megabytes=$1 error=$2 directory available reason tried=
  shift 2
  for directory in ${TMPDIR:+"$TMPDIR"} "$@"; do
    if [[ ! -d $directory || ! -w $directory ]]; then
      reason='is not a directory that can be written'
    else
      memory=$(realpath "$directory")
      available=$(df -Pm "$memory" | awk 'END { print $4 }')
      reason=$(unfit "$memory")
      [[ -n $reason || $available -ge $megabytes ]] || reason="has $available MB free"
      [[ -n $reason ]] || return 0
    fi
    tried+=$'\n'"  $directory $reason"
  done
  fail "$error:$tried"
}

unfit() { :; }

# Writes down for `init` what to run, and how.
describe() {
  local size
  rows=0 columns=0 merged='' stdin=''
  keep "$PWD" "$(realpath "$lab/../..")" "$modules"
  if [[ -t 1 ]]; then
    { size=$(stty size <&3 2>/dev/null) || size='24 80'; } 3>&1 # stdout is the pipe within $( )
    read -r rows columns <<<"$size"
  fi
  # One stream where both go to one place keeps the lines in order.
  [[ ! /proc/self/fd/1 -ef /proc/self/fd/2 ]] || merged=yes
  [[ ! -p /proc/self/fd/0 && ! -f /proc/self/fd/0 && ! -S /proc/self/fd/0 ]] || stdin=yes

  cwd=$PWD
  declare -p cwd console keep modules merged stdin rows columns >"$state/settings"
  printf '%s\0' "$@" >"$state/command"
  env -0 -u TMPDIR IPVS_NL_LAB=guest PATH="$PATH:/usr/sbin:/sbin" MODPROBE_OPTIONS="-d /run/lab" >"$state/environment"
  cp "$lab/init" "$lab/machine/fresh.sh" "$state"
  chmod +x "$state/init"
}

# Starts the kernel in a session of its own, so that a Ctrl-C reaches this script alone. `alive` reads end of file once every process of the kernel is gone.
boot() {
  mkfifo "$state/signals" "$state/parts" "$state/asked"
  exec 5<>"$state/signals" 6<>"$state/parts" 7<>"$state/asked"
  exec 3> >(trap '' INT; exec cat {guard}>&-)
  sinks+=($!)
  exec 4> >(trap '' INT; exec cat >&2 {guard}>&-)
  sinks+=($!)
  if [[ -n $stdin ]]; then
    feed <&0 3>&- 4>&- {guard}>&- &
    feeder=$!
  fi
  exec {alive}< <(
    echo "$BASHPID" >&"$guard"
    exec {guard}>&-
    ulimit -c 0
    # The guest's open files are the kernel's.
    ulimit -Sn "$(ulimit -Hn)"
    kernel 9>&1 >"$state/log" 2>&1 </dev/null
  )
  machine=$!
  exec 3>&- 4>&-
}

# Hands stdin over in files, each when the guest asks for it; an empty one is the end. Bytes sent straight
# over a console would get lost before the guest listens and after the end.
feed() {
  trap '' INT
  local part=0
  exec {asked}<"$state/asked"
  while read -r _ <&"$asked"; do
    part=$((part + 1))
    dd bs=1M count=1 status=none of="$state/stdin.$part" || true
    echo "stdin.$part" >"$state/parts"
    [[ -s $state/stdin.$part ]] || break
  done
}

pass() { [[ -e $state/running ]] && echo "$1" >"$state/signals"; }
ended() { [[ -s $state/status ]]; }

leave() {
  local status=0 reason
  wait "${sinks[@]}" || true
  wait "$machine" || status=$?
  reason=$(why "$status")
  if ended; then
    [[ -z $reason ]] || echo "test/lab/run: $reason" >&2
    read -r status <"$state/status"
    exit "$status"
  fi
  if [[ -e $state/running ]]; then
    echo "test/lab/run: the kernel ended before the command${reason:+: $reason}. Its last words:" >&2
  else
    echo "test/lab/run: the kernel did not boot${reason:+: $reason}. Its last words:" >&2
  fi
  tail -n 40 "$state/log" >&2
  exit 125
}
