/** What `-h` and `-v` print. */

import { KNOWN } from './rules.js'

/** A line, which begins as that of the ipvsadm whose command line this is. */
export const version = (): string => 'ipvsadm v1.31, as ipvs-nl does it (compiled with TypeScript and IPVS v1.2.1)\n'

/** Every option by both of its names. */
const both = [...new Set(KNOWN.map(({ long, short }) => `--${long}${short === '' ? '' : ` -${short}`}`))]

/** As many as fit on a line. */
const lines = (words: readonly string[], width: number): string => words.reduce((text, word) => {
  if (text === '') return `  ${word}`
  return text.length - text.lastIndexOf('\n') + word.length > width ? `${text},\n  ${word}` : `${text}, ${word}`
}, '')

const SERVICE = '(-t|-u|--sctp-service HOST[:PORT] | -f MARK [-6])'

/** How to use it. */
export const help = (program: string): string => `${version()}
The command comes first:
  ${program} -A|-E SERVICE [-s SCHEDULER] [-b FLAGS] [-p [SECONDS] [-M MASK]] [--pe ENGINE] [-o]
                                                   adds or edits a virtual service
  ${program} -D SERVICE                                  deletes it
  ${program} -a|-e SERVICE -r HOST[:PORT] [-g|-i|-m] [-w WEIGHT] [-x UPPER] [-y LOWER] [TUNNEL]
                                                   adds or edits a real server
  ${program} -d SERVICE -r HOST[:PORT]                   deletes it
  ${program} -L|-l [SERVICE] [-n] [--nosort] [-X] [VIEW]     lists services
  ${program} -L -c [-n] [--persistent-conn] | --timeout | --daemon   lists connections, timeouts, sync daemons
  ${program} -Z [SERVICE]                                zeroes counters
  ${program} -C                                          clears the table
  ${program} -S [-n]                                     saves rules to stdout
  ${program} -R                                          restores rules from stdin
  ${program} --set TCP TCPFIN UDP                        sets timeouts, in seconds; 0 keeps one
  ${program} --start-daemon master|backup [DAEMON]       starts a sync daemon
  ${program} --stop-daemon master|backup                 stops it
  ${program} -h | -v

SERVICE    ${SERVICE}
SCHEDULER  a module's name, by default wlc
FLAGS      of flag-1,flag-2,flag-3, of sh-fallback,sh-port for sh, of mh-fallback,mh-port for mh
TUNNEL     with -i: --tun-type ipip|gue|gre, --tun-port PORT, --tun-nocsum|--tun-csum|--tun-remcsum
VIEW       --stats, --rate, --thresholds, --persistent-conn, --tun-info
DAEMON     --mcast-interface LINK, --syncid ID, --sync-maxlen BYTES,
           --mcast-group ADDRESS, --mcast-port PORT, --mcast-ttl TTL

By their long names, too:
${lines(both, 120)}
`
