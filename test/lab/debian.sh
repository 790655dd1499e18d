# shellcheck shell=bash disable=SC2154
# Debian's archive, by a private source of apt's that touches nothing of the machine. Sourced by test/lab/fetch,
# which sets $work (a temporary directory), $log, $architecture, $suites and $version.

# Sets the first suite whose PACKAGE is of $version, and says so; apt then knows that suite alone.
find_suite() { # PACKAGE
  local suite found seen=''
  [[ $version == [0-9]* ]] || suites=("$version")
  find_mirror
  for suite in "${suites[@]}"; do
    echo "looking for $1 in Debian's $suite" >&2
    use "$suite" || give_up "the lists of Debian's $suite cannot be fetched; is there a network?"
    found=$(debian apt-cache madison "$1" 2>>"$log" | awk 'NR == 1 { print $3 }')
    if [[ -n $found && ($suite == "$version" || $found =~ ^"$version"([^0-9]|$)) ]]; then
      echo "fetching $1 $found from Debian's $suite" >&2
      return
    fi
    seen+="${seen:+, }${found:-none} ($suite)"
  done
  fail "Debian has no $1 $version; it has $seen"
}

# Downloads packages and unpacks them into a directory.
unpack() { # DIRECTORY PACKAGE…
  local package debs=$work/debs
  rm -rf "$debs"
  mkdir -p "$debs"
  (cd "$debs" && debian apt-get -q download "${@:2}") </dev/null >>"$log" 2>&1 || give_up "${*:2} cannot be downloaded"
  for package in "$debs"/*.deb; do
    dpkg -x "$package" "$1" >>"$log" 2>&1 || give_up "$package cannot be unpacked; is there room on the disk?"
  done
  rm -rf "$debs"
}

dependencies() { # PACKAGE
  debian apt-cache depends "$1" 2>>"$log" | awk '$1 == "Depends:" { print $2 }'
}

give_up() { # SENTENCE
  tail -n 10 "$log" >&2
  fail "$1"
}

# Finds Debian's keys and mirror: this machine's own, if it has them. Otherwise (Ubuntu) they are in
# packages of this machine's own archive, which are unpacked and not installed.
find_mirror() {
  local uri uris
  keyring=$(first '/usr/share/keyrings/debian-archive-keyring.[gp][pg]*') || {
    from_own_archive debian-archive-keyring
    keyring=$(first "$work/own/usr/share/keyrings/debian-archive-keyring.[gp][pg]*")
  }
  # Only Debian's own archive has a suite "stable" with this signature.
  mapfile -t uris < <(apt-get update --print-uris 2>/dev/null | sed -nE "s|^'(.*)/dists/.*/InRelease' .*|\1|p" | awk '!seen[$0]++')
  for uri in "${uris[@]}"; do
    ! try "$uri" || return 0
  done
  from_own_archive debootstrap
  while read -r uri; do
    ! try "$uri" || return 0
  done < <(grep -rhoE '(default_mirror|DEF_MIRROR=) *"?https?://[^ "]+/debian/?' "$work/own/usr/share/debootstrap" "$work/own/usr/sbin/debootstrap" | grep -oE 'http.*' | sort -u)
  give_up "Debian's archive cannot be reached; is there a network?"
}

try() { # URI
  mirror=$1
  use stable
}

# Points the private apt at a suite and fetches its lists.
use() { # SUITE
  [[ ${used:-} != "$mirror $1" ]] || return 0
  used=''
  rm -rf "$work/apt"
  mkdir -p "$work/apt/"{lists,archives}/partial "$work/apt/empty"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: %s\nSigned-By: %s\n' \
    "$mirror" "$1" "$architecture" "$keyring" >"$work/apt/debian.sources"
  configure "$work/apt" "$work/apt/debian.sources" "$work/apt/empty"
  debian apt-get -q update </dev/null >>"$log" 2>&1 || return
  used="$mirror $1"
}

# Writes the configuration of an apt with lists and a cache of its own; proxies and the like stay the machine's.
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
${2:+Dir::Etc::sourcelist "$2";
Dir::Etc::sourceparts "$3";}
END
}

debian() { "$1" -c "$work/apt/conf" "${@:2}"; }

# Unpacks a package of this machine's own archive, by its own lists, else by fresh ones.
from_own_archive() { # PACKAGE
  echo "fetching $1 from this machine's own archive" >&2
  mkdir -p "$work/own/lists/partial" "$work/own/archives/partial" "$work/own/debs"
  (
    cd "$work/own/debs"
    apt-get -q download "$1" || {
      configure "$work/own"
      [[ -e $work/own/fresh ]] || { apt-get -q -c "$work/own/conf" update && touch "$work/own/fresh"; }
      apt-get -q -c "$work/own/conf" download "$1"
    }
    dpkg -x "$1"_*.deb "$work/own"
  ) </dev/null >>"$log" 2>&1 || give_up "the package $1 cannot be had from this machine's own archive"
}
