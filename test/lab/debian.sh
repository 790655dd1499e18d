# shellcheck shell=bash disable=SC2154
# Debian's archive, by a private source of apt's that touches nothing of the machine. Sourced after
# apt.sh by scripts that set $work (a temporary directory), $log, $architecture, $suites, $version.

# Sets the first suite whose PACKAGE is of $version, and says so; apt then knows that suite alone.
find_suite() { # PACKAGE
  local suite found seen=''
  [[ $version == [0-9]* ]] || suites=("$version")
  find_mirror
  for suite in "${suites[@]}"; do
    echo "looking for $1 in Debian's $suite" >&2
    use "$suite" || give_up "the lists of Debian's $suite cannot be fetched; is there a network?"
    found=$(apt-cache -c "$work/apt/conf" madison "$1" 2>>"$log" | awk 'NR == 1 { print $3 }')
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
  (cd "$debs" && apt apt-get -c "$work/apt/conf" download "${@:2}") || give_up "${*:2} cannot be downloaded"
  for package in "$debs"/*.deb; do
    dpkg -x "$package" "$1" >>"$log" 2>&1 || give_up "$package cannot be unpacked; is there room on the disk?"
  done
  rm -rf "$debs"
}

dependencies() { # PACKAGE
  apt-cache -c "$work/apt/conf" depends "$1" 2>>"$log" | awk '$1 == "Depends:" { print $2 }'
}

# Finds Debian's keys and mirror: this machine's own, if it has them. Otherwise (Ubuntu) they are in
# packages of this machine's own archive, which are unpacked and not installed.
find_mirror() {
  local uri uris
  keyring=$(first "${LAB_KEYRINGS:-/usr/share/keyrings}/debian-archive-keyring.[gp][pg]*") || {
    from_own_archive debian-archive-keyring
    keyring=$(first "$work/own/usr/share/keyrings/debian-archive-keyring.[gp][pg]*")
  }
  # Only Debian's own archive has a suite "stable" with this signature.
  mapfile -t uris < <(apt-get update --print-uris 2>/dev/null |
    sed -nE "s|^'(.*)/dists/.*/InRelease' .*|\1|p" | awk '!seen[$0]++')
  for uri in "${uris[@]}"; do
    ! try "$uri" || return 0
  done
  from_own_archive debootstrap
  mapfile -t uris < <(cd "$work/own/usr" &&
    grep -rhoE 'https?://[^ "]+/debian/?' share/debootstrap sbin/debootstrap | awk '!seen[$0]++')
  for uri in "${uris[@]}"; do
    ! try "$uri" || return 0
  done
  give_up "Debian's archive cannot be reached; is there a network?"
}

try() { # URI
  mirror=$1
  use "${suites[0]}"
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
  apt apt-get -c "$work/apt/conf" update || return
  used="$mirror $1"
}
