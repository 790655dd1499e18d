# shellcheck shell=bash disable=SC2034,SC2154
# Roots of other releases, and processes inside them. Sourced by test/lab/portable, which sets $lab,
# $project, $work (a directory for this run) and $log.

suite_of() { # NAME
  case $1 in
    debian-12) echo bookworm ;;
    debian-13) echo trixie ;;
    ubuntu-24.04) echo noble ;;
    *) fail "$1 is no root; there are debian-12, debian-13 and ubuntu-24.04" ;;
  esac
}

# Makes $work/root, with the project at home of root and of the user.
make_root() { # NAME
  local tar=$lab/.cache/roots/$1.tar node npm home tree
  root=$work/root
  [[ -e $tar ]] || fill "$1" "$tar"
  mkdir "$root"
  tar -xpf "$tar" -C "$root" --numeric-owner

  node=$(realpath "$(command -v node)")
  npm=$(realpath "$(command -v npm)")
  mkdir -p "$root/usr/local/"{bin,etc,lib/node_modules/npm}
  cp "$node" "$root/usr/local/bin/node"
  cp -a "${npm%/bin/*}/." "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  chroot "$root" node --version >/dev/null 2>>"$log" ||
    give_up "this machine's $node does not run in $1; put Node's own build first in PATH"
  connect

  # What is committed, and what is not yet.
  tree=$(git -C "$project" stash create)
  useradd --root "$root" --create-home --uid 1000 user
  for home in root home/user; do
    mkdir "$root/$home/ipvs-nl"
    git -C "$project" archive "${tree:-HEAD}" | tar -x -C "$root/$home/ipvs-nl"
  done
  chown -R 1000:1000 "$root/home/user"
}

# The network as this machine has it: names, proxies, npm's registry and the certificates to trust.
connect() {
  local key value
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  apt-config dump | grep -E '^Acquire::https?::Proxy' >"$root/etc/apt/apt.conf.d/proxy" || true
  for key in registry proxy https-proxy cafile; do
    value=$(npm config get "$key" 2>/dev/null)
    [[ $value != null ]] || continue
    if [[ $key == cafile ]]; then
      cp -L "$value" "$root/etc/npm-certificates"
      value=/etc/npm-certificates
    fi
    echo "$key=$value"
  done >"$root/usr/local/etc/npmrc"
}

# Fills a root by debootstrap. That and Ubuntu's keys come from Debian's stable, not installed.
fill() { # NAME TARBALL
  local suite tools=$work/tools filled=$work/filled keys from=''
  command -v wget >/dev/null ||
    fail 'the package wget is missing, with which debootstrap downloads: sudo apt-get install -y wget'
  suite=$(suite_of "$1")
  version=stable suites=(stable) architecture=$(dpkg --print-architecture)
  if [[ ! -d $tools ]]; then
    find_suite debootstrap
    unpack "$tools" debootstrap ubuntu-keyring
    # Without this program debootstrap asks a web service which of Ubuntu's releases have moved.
    printf '#!/bin/sh\necho %s\n' "$suite" >"$tools/ubuntu-distro-info"
    chmod +x "$tools/ubuntu-distro-info"
  fi
  if [[ $1 == debian-* ]]; then
    keys=$keyring from=$mirror
  else
    keys=$tools/usr/share/keyrings/ubuntu-archive-keyring.gpg
  fi

  echo "filling $1 by debootstrap" >&2
  PATH=$tools:$PATH DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap "$tools/usr/sbin/debootstrap" \
    --variant=minbase --force-check-gpg --keyring="$keys" "$suite" "$filled" "$from" 2>&1 </dev/null |
    tee -a "$log" | progress || give_up "debootstrap could not fill $1"
  [[ $1 != ubuntu-* ]] || sed -i 's/ main$/ main universe/' "$filled/etc/apt/sources.list"
  rm -f "$filled/var/cache/apt/archives/"*.deb
  tar -cf "$2.new" -C "$filled" --numeric-owner .
  mv "$2.new" "$2"
  rm -rf "$filled"
}

# A line now and then.
progress() {
  local line last=$SECONDS
  while IFS= read -r line; do
    [[ $((SECONDS - last)) -ge 4 ]] || continue
    printf '  %.90s\n' "$line" >&2
    last=$SECONDS
  done
}

# Runs a command in the root: as root or user, and offline or not.
inside() { # 'root|user[ offline]' COMMAND
  local variable environment=() options=()
  for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [[ -z ${!variable:-} ]] || environment+=("$variable=${!variable}")
  done
  [[ $1 != *offline ]] || options=(--net)
  # shellcheck disable=SC2016 # for the shell inside to expand
  exec unshare --mount --propagation private --pid --fork --kill-child --ipc --uts "${options[@]}" bash -euc '
    root=$1 who=$2 command=$3
    cd "$root"
    mount --bind . .
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty; do
      touch "dev/$device"
      mount --bind "/dev/$device" "dev/$device"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${stream%:*}" "dev/${stream#*:}"; done
    mount -t tmpfs -o size=64m,noexec,nosuid,nodev,mode=1777 tmpfs dev/shm
    # Not by chroot: user namespaces, which tests make, are denied inside.
    mkdir -p .outside
    pivot_root . .outside
    umount -l /.outside
    if [[ $who == root ]]; then id=0 home=/root; else id=1000 home=/home/user; fi
    # This shell stays, as root: a process that becomes a user no longer ends with its parent.
    chroot --userspec="$id:$id" --groups= / /usr/bin/env -i --default-signal=INT,QUIT "${@:4}" HOME=$home USER=$who TERM=dumb \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "umask 077; cd ~/ipvs-nl; $command"
    exit
    ' inside "$root" "${1% offline}" "$2" "${environment[@]}"
}
