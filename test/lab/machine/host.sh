# shellcheck shell=bash disable=SC2154,SC2317
# LAB=host: this machine's own kernel, in fresh namespaces of processes, mounts and networks. Sourced by test/lab/run.
#
# Nothing outlives the command: no process, no file in /tmp or /run, no module that was loaded for it (but ipv6, which
# no kernel unloads). What a kernel has once for all its namespaces does change: some limits, and tunl0, gre0 and the
# like while their modules are loaded.

# shellcheck source-path=SCRIPTDIR/..
. "$lab/machine/await.sh"

host() {
  [[ $EUID -eq 0 ]] || fail 'LAB=host needs root'
  PATH=$PATH:/usr/sbin:/sbin
  mapfile -t before < <(loaded)
  watch_over
  modprobe ip_vs 2>/dev/null || true
  [[ -e /proc/net/ip_vs ]] || fail "this machine's own kernel has no IPVS (modprobe ip_vs failed); without LAB=host the lab brings a kernel"

  exec {output}>&1
  exec {alive}< <(
    echo "$BASHPID" >&"$guard"
    # Every process of the command keeps descriptor 9: its end is the end of all.
    exec 9>&1 >&"$output" {output}>&- {guard}>&-
    IPVS_NL_LAB=host exec unshare --net --mount --pid --fork --kill-child --mount-proc bash "$lab/machine/host-init" "$@"
  )
  machine=$!
  await "$@"
}

# Cleans up after this script, however it ends: a process that waits for the end of the pipe that only this
# script holds. What comes through the pipe is the process whose end ends all in the namespaces.
watch_over() {
  exec {guard}> >(
    exec >/dev/null
    trap '' INT TERM HUP
    set +e
    read -r machine
    read -r _
    [[ -z $machine ]] || kill -KILL "$machine" 2>/dev/null
    unload
  )
  guardian=$!
  trap finish EXIT
}

finish() {
  trap '' INT TERM HUP
  exec {guard}>&-
  wait "$guardian" || true
}

loaded() { [[ ! -e /proc/modules ]] || cut -d ' ' -f 1 /proc/modules; }

# Unloads what was loaded since, one by one: modprobe -r would take unused modules of before along. A network
# namespace ends some time after its processes, and holds modules until then.
unload() {
  local module users stay gone deadline=$((SECONDS + 5))
  declare -A checked
  while :; do
    stay=() gone=''
    while read -r module users; do
      if [[ " ${before[*]} " == *" $module "* ]]; then continue; fi
      [[ -n ${checked[$module]:-} ]] || checked[$module]=$(ours "$module" && echo ours || echo other)
      if [[ ${checked[$module]} == other ]]; then continue; fi
      if [[ $users -eq 0 ]] && ! made "$module" && rmmod "$module" 2>/dev/null; then gone=yes; else stay+=("$module"); fi
    done < <(removable)
    [[ ${#stay[@]} -gt 0 ]] || return 0
    [[ -n $gone || $SECONDS -lt $deadline ]] || break
    [[ -n $gone ]] || sleep 0.1
  done
  echo "test/lab/run: these modules stay loaded, for they are in use: ${stay[*]}" >&2
}

# Prints modules with the counts of their users. Some are permanent (ipv6), and so are those that they use.
removable() {
  [[ ! -e /proc/modules ]] || awk '
    { users[$1] = $4; count[$1] = $3 }
    END {
      do {
        found = 0
        for (module in users) {
          several = split(users[module], user, ",")
          for (i = 1; i <= several; i++) {
            if (module in stays || !(user[i] == "[permanent]" || user[i] in stays)) continue
            stays[module]
            found = 1
          }
        }
      } while (found)
      for (module in users) if (!(module in stays)) print module, count[module]
    }' /proc/modules
}

# Another program may load a driver meanwhile, and a driver is in use without a count of its users.
ours() { # MODULE
  local path
  path=$(modprobe --show-depends "$1" 2>/dev/null | tail -n 1)
  [[ $path =~ /kernel/(net/.*|lib/.*|drivers/net/[^/]*|drivers/net/vxlan/[^/]*)\.ko ]]
}

# Somebody made a link of this kind on the machine itself: to unload the module would delete it.
made() { # MODULE
  local kind=$1
  case $kind in
    ip_gre) kind=gre ;;
    ip6_tunnel) kind=ip6tnl ;;
  esac
  ip -o link show type "$kind" 2>/dev/null | grep -qvE '^[0-9]+: (tunl0|gre0|sit0|ip6tnl0)@'
}

pass() { pkill "-$1" -P "$machine"; }
ended() { read -r -t 0 -u "$alive"; }

leave() {
  local status=0
  wait "$machine" || status=$?
  exit "$status"
}
