# shellcheck shell=bash disable=SC2034,SC2154
# LAB=qemu: Debian's stock kernel in an emulated machine with several processors. Sourced by test/lab/run.
# Its root is this machine's files (9p), as User Mode Linux has them. KVM carries it where KVM works; elsewhere
# qemu emulates the processors (TCG): the guest boots in about 20 s then, and all in it is ten times slower.

prepare() {
  console=hvc
  : "${LAB_CPU:=all}" # several processors are wanted: no pinning
  [[ ${LAB_CPUS:=2} =~ ^[1-9][0-9]{0,2}$ ]] || fail "LAB_CPUS=$LAB_CPUS is not a number of processors"
  [[ ${LAB_ACCEL:-tcg} =~ ^(kvm|tcg)$ ]] || fail "LAB_ACCEL=$LAB_ACCEL is neither kvm nor tcg"
  PATH+=:/usr/sbin:/sbin
  find_emulator
  find_stock_kernel
  find_room
}

# One for this machine's own kind of processor.
find_emulator() {
  local package
  case $(uname -m) in
    x86_64) emulator=(qemu-system-x86_64 -machine q35) serial=ttyS0 package=qemu-system-x86 ;;
    aarch64) emulator=(qemu-system-aarch64 -machine "virt,gic-version=max") serial=ttyAMA0 package=qemu-system-arm ;;
    *) fail "LAB=qemu knows x86_64 and aarch64, and this machine is $(uname -m)" ;;
  esac
  local program needed="${emulator[0]}:$package cpio:cpio modprobe:kmod switch_root:util-linux mount:mount ldd:libc-bin" missing=()
  for program in $needed; do
    command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
  done
  [[ ${#missing[@]} -eq 0 ]] || fail "LAB=qemu needs packages that are missing. Run:
sudo apt-get install -y --no-install-recommends ${missing[*]}"
}

find_stock_kernel() {
  local cache
  if [[ ! -f ${LAB_KERNEL:-} ]]; then
    cache=/var/tmp/qemu-helper/k
    LAB_KERNEL=$(echo $cache/boot/vmlinuz-*) LAB_MODULES=$(echo $cache/lib/modules/*)
  fi
  kernel=$LAB_KERNEL
  modules=$(realpath "${LAB_MODULES:-/nonexistent}")
  [[ -e $modules/modules.dep ]] || fail "no modules for $kernel: $modules/modules.dep is missing (LAB_MODULES names another directory)"
}

# For this run's files: an initramfs, and what is piped in.
find_room() {
  local directory
  for directory in ${TMPDIR:+"$TMPDIR"} /tmp /var/tmp; do
    [[ -d $directory && -w $directory && $(df -Pm "$directory" | awk 'END { print $4 }') -ge 64 ]] || continue
    memory=$(realpath "$directory")
    return
  done
  fail 'no directory has room for 64 MB of files; set TMPDIR to one that has'
}

kernel() {
  local accelerators=tcg
  if [[ -n ${LAB_ACCEL:-} ]]; then accelerators=$LAB_ACCEL; elif has_kvm; then accelerators='kvm tcg'; fi
  make_initramfs
  options
  ulimit -n "$(ulimit -Hn)"
  # One session for all attempts. KVM may open, create a machine and then run nothing: 30 seconds without a sign of life are enough.
  # shellcheck disable=SC2016 # for the other shell to expand
  exec setsid "${pin[@]}" bash -c '
    state=$1 accelerators=$2
    shift 2
    if [[ $accelerators == kvm* ]]; then
      echo kvm >"$state/accelerator"
      "$@" -accel kvm &
      for ((tenths = 0; tenths < 300; tenths++)); do
        [[ ! -e $state/alive ]] || { wait; exit; }
        kill -0 $! 2>/dev/null || break
        sleep 0.1
      done
      kill -KILL $! 2>/dev/null
      wait
      [[ $accelerators == *tcg ]] || exit
      echo "test/lab/run: KVM runs nothing here: qemu emulates the processors instead" >&8
    fi
    echo tcg >"$state/accelerator"
    exec "$@" -accel tcg,thread=multi' lab "$state" "$accelerators" "${machine[@]}"
}

has_kvm() {
  [[ -w /dev/kvm ]] || return 1
  [[ $(uname -m) != x86_64 ]] || grep -qwE '^flags.*(vmx|svm)' /proc/cpuinfo
}

# The machine: what its consoles print goes to qemu's log of a console, which waits for a slow reader; a console itself drops what
# does not fit. What they read comes from the FIFOs.
options() {
  ln -s "$state/signals" "$state/console3.in"
  ln -s /dev/null "$state/console3.out"
  ln -s "$state/parts" "$state/console4.in"
  ln -s "$state/asked" "$state/console4.out"
  local security=none
  [[ $EUID -ne 0 ]] || security=passthrough
  local at=${state//,/,,}
  machine=("${emulator[@]}" -nodefaults -no-user-config -display none -no-reboot -cpu max -smp "$LAB_CPUS" -m "$LAB_MEMORY"
    -kernel "$kernel" -initrd "$state/initramfs" -append "console=$serial quiet panic=-1"
    -serial stdio
    -fsdev "local,id=root,path=/,multidevs=remap,security_model=$security" -device virtio-9p-pci,fsdev=root,mount_tag=root
    -fsdev "local,id=state,path=$at,security_model=$security" -device virtio-9p-pci,fsdev=state,mount_tag=state
    -device virtio-serial-pci
    -chardev null,id=c0 -device virtconsole,chardev=c0
    -chardev null,id=c1,logfile=/proc/self/fd/3 -device virtconsole,chardev=c1
    -chardev null,id=c2,logfile=/proc/self/fd/4 -device virtconsole,chardev=c2
    -chardev "pipe,id=c3,path=$at/console3" -device virtconsole,chardev=c3
    -chardev "pipe,id=c4,path=$at/console4" -device virtconsole,chardev=c4)
}

# The stock kernel has the drivers of its root and consoles as modules. A small system loads them and goes on to `init`.
make_initramfs() {
  local version=${modules##*/} tree=$state/tree program library module
  mkdir -p "$tree"/{bin,modules,root,proc,dev} "$state/lib/modules"
  ln -s "$modules" "$state/lib/modules/$version"
  for program in bash mount umount insmod switch_root; do
    program=$(command -v "$program")
    cp -L "$program" "$tree/bin/"
    ldd "$program" | grep -o '/[^ ]*' >>"$state/libraries" || true
  done
  sort -u "$state/libraries" | while read -r library; do
    mkdir -p "$tree${library%/*}"
    cp -L "$library" "$tree$library"
  done
  {
    echo '#!/bin/bash'
    echo 'export PATH=/bin'
    modprobe -d "$state" -S "$version" --show-depends -a virtio_pci virtio_console 9pnet_virtio 9p | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
      while read -r module; do
        cp -L "$module" "$tree/modules/"
        echo "insmod /modules/${module##*/}"
      done
    echo 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose root /root'
    printf 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none state /root%q\n' "$state"
    printf 'echo alive >/root%q\n' "$state/alive"
    printf 'exec switch_root /root %q\n' "$state/init"
  } >"$tree/init"
  chmod +x "$tree/init"
  (cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >"$state/initramfs"
  rm -rf "$tree" "$state/lib" "$state/libraries"
}
