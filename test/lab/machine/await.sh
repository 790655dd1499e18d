# shellcheck shell=bash disable=SC2154
# Waits for the end of a machine, passing signals on to its command. Sourced by guest.sh and host.sh, which set `alive`,
# a descriptor that reads end of file once every process of the machine is gone, and define
#   pass SIGNAL   sends the command a signal, or fails where none runs yet
#   ended         tells whether the command has ended
#   grace         seconds that a command has to end by a signal (5)
#   leave         exits with the command's status, or says why there is none

await() { # COMMAND…
  trap 'interrupt INT 130' INT
  trap 'interrupt TERM 143' TERM
  trap 'interrupt HUP 129' HUP
  local result=0
  read -r -t "$LAB_TIMEOUT" -u "$alive" _ || result=$?
  if [[ $result -gt 128 ]]; then
    echo "test/lab/run: killed after LAB_TIMEOUT=$LAB_TIMEOUT seconds: $*" >&2
    exit 124
  fi
  leave
}

# The command may end by the signal in its own way; the second time, or when it does not, end it.
interrupt() { # NAME STATUS
  # shellcheck disable=SC2064 # $2 is wanted as it is now
  trap "exit $2" INT TERM HUP
  if pass "$1"; then read -r -t "${grace:-5}" -u "$alive" _ || true; fi
  if ended; then leave; fi
  exit "$2"
}
