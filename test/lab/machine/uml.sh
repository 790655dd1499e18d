# shellcheck shell=bash disable=SC2034,SC2154
# User Mode Linux: a kernel that runs as an ordinary process. Sourced by test/lab/run.

prepare() {
  [[ $(uname -m) =~ ^(x86_64|i[3-6]86)$ ]] ||
    fail "User Mode Linux runs on x86 processors alone, and this one is $(uname -m): LAB=qemu brings another kernel"
  console='tty'
  find_kernel
  find_room "$megabytes" "no directory for the guest's $megabytes MB of memory; set TMPDIR to one with room, or LAB_MEMORY" /dev/shm /tmp /var/tmp
  find_compiler
}

kernel() {
  local preload=()
  if [[ -n $compiler ]]; then
    "$compiler" -O2 -nostdlib -shared -fPIC -o "$state/xstate.so" "$lab/xstate.c" || exit
    preload=(env LD_PRELOAD="$state/xstate.so${LD_PRELOAD:+:$LD_PRELOAD}")
  fi
  export TMPDIR=$memory
  exec setsid "${pin[@]}" "${preload[@]}" "$kernel" "mem=$LAB_MEMORY" root=/dev/root rootfstype=hostfs \
    rootflags=/ rw "init=$state/init" devtmpfs.mount=0 noreboot "uml_dir=$state/" umid=uml con=null con0=null,fd:1 \
    con1=null,fd:3 con2=null,fd:4 con3=fd:5,null con4=fd:6,fd:7 \
    initcall_blacklist=raid6_select_algo
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
  [[ $version =~ ^[0-9]+\.[0-9]+ ]] ||
    fail "$kernel is not a User Mode Linux kernel that runs here; its --version says: $("$kernel" --version 2>&1 </dev/null | head -n 1)"
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

# Kernels before 6.14 need xstate.c on a processor with AMX.
find_compiler() {
  compiler=''
  case ${LAB_XSTATE:-} in
    '')
      [[ $version =~ ^([0-9]+)\.([0-9]+) ]]
      [[ $((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2])) -lt 6014 ]] || return 0
      grep -qsw amx_tile /proc/cpuinfo || return 0
      ;;
    0) return 0 ;;
    1) ;;
    *) fail "LAB_XSTATE=$LAB_XSTATE is neither 0 nor 1" ;;
  esac
  compiler=$(command -v gcc || command -v tcc || command -v cc) ||
    fail "on a processor with AMX the kernel $version needs a small library, and no C compiler is here to build it: install gcc or tcc, or choose LAB_KERNEL from 6.14 on"
}

# The guest's memory is a sparse file, unlinked at once and mapped executable. Containers often have a small or
# noexec /dev/shm. The kernel's command line carries the directory's name, and so does the list of libraries to preload.
unfit() { # DIRECTORY
  if [[ $1 == *[[:space:]:\"\']* ]]; then
    echo "has a space, a colon or a quote in its name, which a kernel's command line cannot carry"
  elif [[ ,$(findmnt -nro OPTIONS -T "$1" | tail -n 1), == *,noexec,* ]]; then
    echo 'is mounted noexec'
  fi
}
