# shellcheck shell=bash disable=SC2034,SC2154
# LAB=qemu: Debian's stock kernel in a virtual machine with several processors. Sourced by test/lab/run.
#
# The machine has KVM where KVM works. Elsewhere qemu emulates the processors (TCG): the guest boots in 10 to
# 30 seconds, and runs about ten times slower. The guest's files are this machine's files, by the protocol 9p.

prepare() {
  console=hvc
  : "${LAB_CPU:=all}" # several processors are wanted: no pinning
  [[ ${LAB_CPUS:=2} =~ ^[1-9][0-9]{0,2}$ ]] || fail "LAB_CPUS=$LAB_CPUS is not a number of processors"
  [[ ${LAB_ACCEL:=$(has_kvm && echo kvm || echo tcg)} =~ ^(kvm|tcg)$ ]] || fail "LAB_ACCEL=$LAB_ACCEL is neither kvm nor tcg"
  grace=60
  find_emulator
  find_stock_kernel
  find_room 64 'no directory for 64 MB of files; set TMPDIR to one with room' /tmp /var/tmp
}

# A machine without these processor flags may open /dev/kvm and create a virtual machine that never runs.
has_kvm() {
  [[ -w /dev/kvm ]] && { [[ $(uname -m) != x86_64 ]] || grep -qE '^flags.*\<(vmx|svm)\>' /proc/cpuinfo; }
}

find_emulator() {
  case $(uname -m) in
    x86_64) emulator=(qemu-system-x86_64 -machine q35) parameters='console=ttyS0 no_timer_check' ;; # a busy machine would fail that check
    aarch64) emulator=(qemu-system-aarch64 -machine 'virt,gic-version=max') parameters='console=ttyAMA0' ;;
    *) fail "LAB=qemu runs on x86_64 and aarch64; this machine is $(uname -m)" ;;
  esac
  PATH+=:/usr/sbin:/sbin
  local program
  for program in "${emulator[0]}" cpio modprobe; do
    command -v "$program" >/dev/null || fail "LAB=qemu needs $program: run test/lab/install qemu"
  done
}

# A kernel by its version or path; by default the one of Debian's stable release, from the cache of test/lab/fetch.
find_stock_kernel() {
  local lines
  if [[ -f ${LAB_KERNEL:=stable} ]]; then
    kernel=$LAB_KERNEL
    modules=${LAB_MODULES:-}
    [[ -n $modules ]] || fail "LAB_KERNEL=$LAB_KERNEL is a file: LAB_MODULES has to name the directory of its modules"
  else
    lines=$("$lab/fetch" stock "$LAB_KERNEL" </dev/null) || exit 125
    { read -r kernel && read -r modules; } <<<"$lines"
  fi
  [[ -e $modules/modules.dep ]] || fail "no modules for $kernel: $modules/modules.dep is missing (LAB_MODULES names another directory)"
  modules=$(realpath "$modules")
}

# Where KVM gives no sign of life for 30 seconds, the second attempt is without it. Both are in one session.
kernel() {
  make_initramfs
  describe_machine
  # shellcheck disable=SC2016 # for the other shell to expand
  exec setsid "${pin[@]}" bash -c '
    state=$1 accelerator=$2
    shift 2
    if [[ $accelerator == kvm ]]; then
      echo LAB_ACCEL=kvm >"$state/machine"
      "$@" -accel kvm &
      for ((tenths = 0; tenths < 300; tenths++)); do
        [[ ! -e $state/alive ]] || { wait; exit; }
        kill -0 $! 2>/dev/null || break
        sleep 0.1
      done
      kill -KILL $! 2>/dev/null
      wait
      echo "test/lab/run: KVM runs nothing here, so qemu emulates the processors" >&4
    fi
    printf "%s\n" LAB_ACCEL=tcg "LAB_SLOW=${LAB_SLOW:-10}" >"$state/machine"
    exec "$@" -accel tcg,thread=multi' lab "$state" "$LAB_ACCEL" "${qemu[@]}"
}

# A virtual console drops what its reader does not take at once. The log of a console waits for its reader:
# so the output of consoles 1 and 2 goes to a log each, and the console itself to nowhere.
describe_machine() {
  local at=${state//,/,,} security=none number
  [[ $EUID -ne 0 ]] || security=passthrough
  ln -s "$state/signals" "$state/console3.in"
  ln -s /dev/null "$state/console3.out"
  ln -s "$state/parts" "$state/console4.in"
  ln -s "$state/asked" "$state/console4.out"
  qemu=("${emulator[@]}" -nodefaults -no-user-config -display none -no-reboot -cpu max -smp "$LAB_CPUS" -m "$LAB_MEMORY"
    -kernel "$kernel" -initrd "$state/initramfs" -append "$parameters quiet panic=-1" -serial stdio
    -fsdev "local,id=root,path=/,multidevs=remap,security_model=$security" -device "virtio-9p-pci,fsdev=root,mount_tag=root"
    -fsdev "local,id=state,path=$at,security_model=$security" -device "virtio-9p-pci,fsdev=state,mount_tag=state"
    -chardev "null,id=console0"
    -chardev "null,id=console1,logfile=/proc/self/fd/3"
    -chardev "null,id=console2,logfile=/proc/self/fd/4"
    -chardev "pipe,id=console3,path=$at/console3"
    -chardev "pipe,id=console4,path=$at/console4"
    -device virtio-serial-pci)
  for number in {0..4}; do qemu+=(-device "virtconsole,chardev=console$number"); done
}

# The drivers of root and consoles are modules. A small system made of this machine's programs loads them.
make_initramfs() {
  local version=${modules##*/} tree=$state/tree path
  mkdir -p "$tree"/{bin,modules,root} "$tree/lib/modules"
  ln -s "$modules" "$tree/lib/modules/$version"
  for path in bash mount insmod switch_root; do
    path=$(command -v "$path")
    cp -L "$path" "$tree/bin/"
    ldd "$path" | grep -o '/[^ ]*'
  done | sort -u | while read -r path; do
    mkdir -p "$tree${path%/*}"
    cp -L "$path" "$tree$path"
  done
  {
    printf '#!/bin/bash\nexport PATH=/bin\n'
    modprobe -d "$tree" -S "$version" --show-depends -a virtio_pci virtio_console 9pnet_virtio 9p |
      sed -n 's/^insmod \(.*\.ko[.a-z]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
        cp -L "$path" "$tree/modules/"
        echo "insmod /modules/${path##*/}"
      done
    echo 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose root /root'
    printf 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none state /root%q\n' "$state"
    printf 'echo >/root%q\n' "$state/alive"
    printf 'exec switch_root /root %q\n' "$state/init"
  } >"$tree/init"
  chmod +x "$tree/init"
  (cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >"$state/initramfs"
  rm -rf "$tree"
}
