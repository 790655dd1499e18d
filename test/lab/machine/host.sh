# shellcheck shell=bash
# LAB=host: this machine's own kernel, in fresh namespaces. Sourced by test/lab/run.

host() {
  [[ $EUID -eq 0 ]] || fail 'LAB=host needs root'
  modprobe ip_vs 2>/dev/null || true
  [[ -e /proc/net/ip_vs ]] || fail "this machine's own kernel has no IPVS (modprobe ip_vs failed); without LAB=host the lab brings a kernel"
  export IPVS_NL_LAB=host
  # shellcheck disable=SC2016 # for the other shell to expand
  exec timeout --verbose --foreground -k 5 "$LAB_TIMEOUT" unshare --net --mount bash -euc '
    mount -t sysfs sysfs /sys
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
    ip link set lo up
    exec "$@"' lab "$@"
}
