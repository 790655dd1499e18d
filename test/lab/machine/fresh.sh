# shellcheck shell=bash disable=SC2154
# An empty /dev/shm, /tmp and /run for one mount namespace, but for the directories in `keep` that lie beneath them.
# Sourced by init and by host-init.

# The directories right beneath those three that hold one of these paths.
keep() { # PATH…
  local path top
  keep=()
  for path; do
    [[ $path =~ ^(/dev/shm|/tmp|/run)/[^/]+ ]] || continue
    top=${BASH_REMATCH[0]}
    [[ " ${keep[*]} " == *" $top "* ]] || keep+=("$top")
  done
}

# Holds open what is kept, so that a new mount cannot hide it.
hold() {
  local path handle
  held=()
  for path in "${keep[@]}"; do
    exec {handle}<"$path"
    held+=("$handle")
  done
}

# Mounts the new directories and binds in again what is held.
fresh() {
  local directory index handle
  for directory in /dev/shm /tmp /run; do mount -t tmpfs -o mode=1777 tmpfs $directory; done
  for index in "${!keep[@]}"; do
    handle=${held[index]}
    mkdir -p "${keep[index]}"
    mount -c --bind "/proc/self/fd/$handle" "${keep[index]}"
    exec {handle}<&-
  done
  mkdir -p /run/lock /run/netns
}
