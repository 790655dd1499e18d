# shellcheck shell=bash
# Sourced by test/lab/machine/guest.sh and test/kernel/run.

# The processors that this process may use, one a line.
allowed_processors() {
  local ranges range
  IFS=, read -ra ranges < <(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
  for range in "${ranges[@]}"; do
    seq "${range%-*}" "${range#*-}"
  done
}
