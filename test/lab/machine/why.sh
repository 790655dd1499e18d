# shellcheck shell=bash disable=SC2154
# Says in a sentence why a guest failed, and what to do, where its exit status or its log tells. Sourced by guest.sh.

why() { # STATUS of the kernel's process
  local log
  log=$(tr -d '\0' <"$state/log")
  case $1:$log in
    *'ptrace: Operation not permitted'* | *'ptrace: Function not implemented'*) why_ptrace ;;
    *'clone failed, errno = 11'* | *'reports error 11'*)
      echo "this machine denied the kernel a process: a limit on processes (ulimit -u, a container's pids limit) is too low" ;;
    *'mapping '*' bytes of memory at '*' failed'*)
      echo "this machine denied the kernel its memory: the limit on address space (ulimit -v) is too low for LAB_MEMORY=$LAB_MEMORY" ;;
    153:* | *'write: File too large'*)
      echo "it may not write files longer than $(ulimit -f) kB; its memory is one of $LAB_MEMORY and up to 1 GB of gaps: raise the limit (ulimit -f unlimited)" ;;
    135:* | *'Bus error - the host '*)
      echo "$memory is full, and the guest's memory is a file there: set TMPDIR to a directory with room, or LAB_MEMORY below $LAB_MEMORY" ;;
    137:*) why_killed ;;
  esac
}

# User Mode Linux traces every process of the guest.
why_ptrace() {
  if [[ $(</proc/self/status) =~ TracerPid:[[:space:]]+[1-9] ]]; then
    echo "a debugger or strace follows this process, so the kernel cannot trace its own: run it without, or with LAB=qemu"
  elif [[ $(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null) == 3 ]]; then
    echo "kernel.yama.ptrace_scope is 3, so no process may trace another until this machine boots anew: run it with LAB=qemu"
  else
    echo "this machine denies ptrace, as some containers do: allow it (docker run --cap-add SYS_PTRACE), or run it with LAB=qemu"
  fi
}

# Nobody but a limit of memory kills it: what the log would tell lies with the one who set the limit.
why_killed() {
  local limit
  limit=$(memory_limit)
  if [[ -n $limit && $limit -lt $((megabytes + 64)) ]]; then
    echo "it was killed, for the memory of this container or control group is limited to $limit MB: raise that, or set LAB_MEMORY below $LAB_MEMORY"
  else
    echo "it was killed, most likely for want of memory: set LAB_MEMORY below $LAB_MEMORY"
  fi
}

# The lowest limit of this process's control groups, in MB. In a container its own group may be the root.
memory_limit() {
  local lowest='' controllers path file limit
  while IFS=: read -r _ controllers path; do
    case $controllers in
      '') file=memory.max controllers=/ ;;
      memory) file=memory.limit_in_bytes controllers=/memory ;;
      *) continue ;;
    esac
    while :; do
      limit=$(cat "/sys/fs/cgroup$controllers$path/$file" 2>/dev/null) || limit=max
      if [[ $limit != max ]]; then
        limit=$((limit >> 20))
        [[ -n $lowest && $lowest -le $limit ]] || lowest=$limit
      fi
      [[ -n ${path%/} ]] || break
      path=${path%/*}
    done
  done </proc/self/cgroup
  echo "$lowest"
}
