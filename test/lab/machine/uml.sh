# shellcheck shell=bash disable=SC2034,SC2154
# User Mode Linux: a kernel that runs as an ordinary process. Sourced by test/lab/run.

prepare() {
  console='tty'
  find_kernel
  find_memory
}

kernel() {
  export TMPDIR=$memory
  exec setsid "${pin[@]}" "$kernel" "mem=$LAB_MEMORY" root=/dev/root rootfstype=hostfs \
    rootflags=/ rw "init=$state/init" devtmpfs.mount=0 noreboot "uml_dir=$state/" umid=uml con=null con0=null,fd:1 \
    con1=null,fd:3 con2=null,fd:4 con3=fd:5,null con4=fd:6,fd:7 \
    initcall_blacklist=raid6_select_algo 9>&1
}

# The installed kernel, or another by its version or path; test/lab/fetch has what is not installed.
find_kernel() {
  local fetched=()
  kernel=${LAB_KERNEL:-linux.uml}
  if [[ $kernel =~ ^[0-9]+(\.[0-9]+)+$ ]]; then
    version=$(version_of linux.uml)
    if [[ $version. == "$kernel".* ]]; then kernel=linux.uml; else fetch "$kernel"; fi
  elif [[ -z ${LAB_KERNEL:-} ]] && ! command -v linux.uml >/dev/null; then
    fetch stable
  fi
  command -v "$kernel" >/dev/null || fail "LAB_KERNEL=$kernel is neither a version such as 6.12 nor an executable file"
  command -v modprobe >/dev/null || [[ -x /sbin/modprobe ]] || fail 'the package kmod is missing: run test/lab/install'

  version=$(version_of "$kernel")
  [[ $version =~ ^[0-9]+\.[0-9]+ ]] || fail "$kernel is not a User Mode Linux kernel"
  modules=${LAB_MODULES:-${fetched[1]:-/usr/lib/uml/modules/$version}}
  [[ -e $modules/modules.dep ]] || fail "no modules for kernel $version: $modules/modules.dep is missing (LAB_MODULES names another directory)"
  modules=$(realpath "$modules")
}

version_of() { "$1" --version 2>/dev/null </dev/null | head -n 1 || true; }

fetch() { # VERSION
  local lines
  lines=$("$lab/fetch" uml "$1" </dev/null) || exit 125
  mapfile -t fetched <<<"$lines"
  kernel=${fetched[0]}
}

# The guest's memory is a sparse file, unlinked at once and mapped executable: the first directory that
# can hold it. Containers often have a small or noexec /dev/shm.
find_memory() {
  local directory available tried=
  for directory in ${TMPDIR:+"$TMPDIR"} /dev/shm /tmp /var/tmp; do
    [[ -d $directory && -w $directory ]] || { tried+="
  $directory is not a directory that can be written"; continue; }
    [[ $directory != *[[:space:]]* ]] || { tried+="
  $directory has a space in its name, which a kernel's command line cannot carry"; continue; }
    [[ ,$(findmnt -nro OPTIONS -T "$directory" | tail -n 1), != *,noexec,* ]] || { tried+="
  $directory is mounted noexec"; continue; }
    available=$(df -Pm "$directory" | awk 'END { print $4 }')
    [[ $available -ge $megabytes ]] || { tried+="
  $directory has $available MB free"; continue; }
    memory=$(realpath "$directory")
    return
  done
  fail "no directory for the guest's $megabytes MB of memory; set TMPDIR to one with room, or LAB_MEMORY:$tried"
}
