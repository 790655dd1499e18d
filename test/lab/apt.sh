# shellcheck shell=bash disable=SC2154
# apt-get, with its progress shown and its locks waited for. Sourced by test/lab/install and test/lab/fetch,
# which set $log, a file for what apt says, and $work, a directory for this run.

# Runs apt-get (with sudo before it, where given) and keeps what it says in $log. While another apt
# holds a lock, tries again: apt-get itself never waits for the lock of its lists, which the daily
# update holds for a while after a machine's start.
apt() { # [COMMAND…] apt-get ARGUMENT…
  local status=0 said='' began=$SECONDS
  while
    status=0
    : >"$log.now"
    DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@" -q -o APT::Status-Fd=2 </dev/null 2>&1 | follow || status=$?
    cat "$log.now" >>"$log"
    locked
  do
    [[ $((SECONDS - began)) -lt ${LAB_APT_TIMEOUT:-300} ]] ||
      fail "$holder holds $lock for more than ${LAB_APT_TIMEOUT:-300} seconds; wait for its end and run this again"
    [[ $lock == "$said" ]] || echo "waiting for $holder, which holds $lock" >&2
    said=$lock
    sleep 1
  done
  return "$status"
}

# Another program holds a lock, by what apt said last.
locked() {
  local words='Could not get lock ([^ ]+[^ .])(\..*held by (process [0-9]+ \([^)]*\)))?'
  [[ $(<"$log.now") =~ $words ]] || return
  lock=${BASH_REMATCH[1]} holder=${BASH_REMATCH[3]:-another program}
}

# Shows the percentage that apt reports: in place on a terminal, else a line now and then.
follow() {
  local line last=$SECONDS percent what
  while IFS= read -r line; do
    if [[ ! $line =~ ^(dl|pm)status:([^:]*):([0-9]+)[.0-9]*:(.*) ]]; then
      echo "$line" >>"$log.now"
      continue
    fi
    percent=${BASH_REMATCH[3]} what=${BASH_REMATCH[4]}
    if [[ -t 2 ]]; then
      printf '\r\e[K%3d %% %.70s' "$percent" "$what" >&2
    elif [[ $((SECONDS - last)) -ge 4 ]]; then
      printf '%3d %% %s\n' "$percent" "$what" >&2
      last=$SECONDS
    fi
  done
  [[ ! -t 2 ]] || printf '\r\e[K' >&2
}

# Says why apt knows none of the packages, where it does not; nothing otherwise.
unknown_packages() {
  local unknown
  unknown=$(sed -nE "s/^E: Unable to locate package (.*)/\1/p
    s/^E: Package '([^']*)' has no installation candidate/\1/p" "$log" | sort -u | paste -sd ' ')
  [[ -n $unknown ]] || return 0
  echo "this machine's archive has no package ${unknown// /, }$(universe)"
}

# Ubuntu has some of the packages in a component that may be switched off.
# shellcheck disable=SC2016 # apt-get expands it
universe() {
  ! ubuntu || apt-get indextargets --format '$(COMPONENT)' 2>/dev/null | grep -qx universe ||
    echo "; Ubuntu has it in 'universe', which is switched off: sudo add-apt-repository universe"
}

ubuntu() {
  local ID='' ID_LIKE=''
  # shellcheck source=/dev/null
  . "${LAB_OS_RELEASE:-/etc/os-release}"
  [[ " $ID $ID_LIKE " == *' ubuntu '* ]]
}

# Unpacks the first of some packages that this machine's own archive has into $work/own; nothing is installed.
# Lists of its own are fetched where the machine's are absent or stale: this needs no root.
from_own_archive() { # PACKAGE…
  local package
  mkdir -p "$work/own/lists/partial" "$work/own/archives/partial"
  : >"$log"
  for package; do
    ! own_download "$package" || return 0
  done
  configure "$work/own"
  [[ -e $work/own/fresh ]] ||
    { apt apt-get -c "$work/own/conf" update && touch "$work/own/fresh"; } ||
    give_up "the lists of this machine's own archive cannot be fetched; is there a network?"
  for package; do
    ! own_download "$package" -c "$work/own/conf" || return 0
  done
  give_up "this machine's own archive has no package $1$(universe)"
}

own_download() { # PACKAGE [OPTION…]
  rm -rf "$work/own/debs"
  mkdir "$work/own/debs"
  (cd "$work/own/debs" && apt apt-get "${@:2}" download "$1") &&
    dpkg -x "$work/own/debs/"*.deb "$work/own" >>"$log" 2>&1
}

# Writes the configuration of an apt with lists and a cache of its own. Proxies stay the machine's.
configure() { # DIRECTORY [SOURCES PARTS]
  cat >"$1/conf" <<END
#clear APT::Update;
APT::Update::Error-Mode "any";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "2";
Dir::State::Lists "$1/lists";
Dir::State::status "/dev/null";
Dir::Cache::Archives "$1/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
  [[ $# -eq 1 ]] || printf 'Dir::Etc::%s "%s";\n' sourcelist "$2" sourceparts "$3" >>"$1/conf"
}

# The first path that exists, of those that patterns name.
first() { # PATTERN…
  compgen -G "$1" | head -n 1 || { [[ $# -gt 1 ]] && first "${@:2}"; }
}

give_up() { # SENTENCE
  tail -n 10 "$log" >&2
  fail "$1"
}
