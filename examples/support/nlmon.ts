/** What a host's programs send to its kernel over netlink, seen by nlmon, the kernel's own tap. */

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import type { Hosts } from './hosts.js'

/** Requests to the kernel. */
export interface Requests {
  /** Those that make, change or remove something. */
  readonly changing: number
  readonly reading: number
  /** Why these numbers cannot be relied upon. */
  readonly problems: readonly string[]
}

/** The link that `ip` makes for the tap. */
export const TAP = ['link add nlmon0 type nlmon', 'link set nlmon0 up'] as const

/** Records requests until the function that it returns is called. The host has the tap. */
export async function tap(hosts: Hosts, host: string): Promise<() => Promise<Requests>> {
  const file = join(tmpdir(), `nlmon-${host}-${process.pid}.pcap`)
  const command = ['tcpdump', '-Z', 'root', '-U', '--immediate-mode', '-i', 'nlmon0', '-w', file]
  const program = await hosts.start(host, command, ({ output }) => output.stderr.includes('listening on'))
  return async () => {
    const { stderr } = await program.stop('SIGINT')
    try {
      return readRequests(await readFile(file), stderr)
    } finally {
      await rm(file, { force: true })
    }
  }
}

const RECORD_HEADER = 16, COOKED_HEADER = 16, MESSAGE_HEADER = 16
const ROUTE = 0, GENERIC = 16
const REQUEST = 1
/** Below are messages of netlink itself: no-ops, errors, the end of a dump. */
const FIRST_TYPE = 16
/** The family that tells of the families: all it does is to tell. */
const CONTROLLER = 16
/** IPVS_CMD_GET_SERVICE, _DEST, _DAEMON, _CONFIG and _INFO. */
const IPVS_READING = [4, 8, 11, 13, 15]

/** Counts the requests in what tcpdump wrote; its last words say how many packets it lost. */
export function readRequests(pcap: Buffer, stderr: string): Requests {
  const dropped = /^(\d+) packets? dropped by kernel$/m.exec(stderr)?.[1]
  const problems = [
    ...dropped === undefined ? [`tcpdump on nlmon0 did not end as it should: ${stderr.trim()}`] : [],
    ...Number(dropped) > 0 ? [`tcpdump on nlmon0 lost ${dropped} packets`] : [],
  ]
  let changing = 0, reading = 0
  for (const { family, type, flags, command } of messages(pcap)) {
    if (type < FIRST_TYPE || !(flags & REQUEST)) continue
    const reads = family === ROUTE ? (type & 3) === 2 // RTM_GETLINK is 18, RTM_GETADDR 22, …
      : family === GENERIC && (type === CONTROLLER || IPVS_READING.includes(command))
    if (reads) reading++
    else changing++
  }
  return { changing, reading, problems }
}

interface Message { readonly family: number; readonly type: number; readonly flags: number; readonly command: number }

/** The netlink messages of all packets of a pcap file that this machine's tcpdump wrote. A packet has one or several. */
function* messages(pcap: Buffer): Generator<Message> {
  // tcpdump writes in the machine's byte order, netlink is in it; the header before a packet's messages is not.
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  const u16 = (at: number): number => little ? pcap.readUInt16LE(at) : pcap.readUInt16BE(at)
  const u32 = (at: number): number => little ? pcap.readUInt32LE(at) : pcap.readUInt32BE(at)
  for (let record = 24; record + RECORD_HEADER <= pcap.length;) {
    const start = record + RECORD_HEADER, end = start + u32(record + 8)
    const family = pcap.readUInt16BE(start + 14)
    for (let at = start + COOKED_HEADER; at + MESSAGE_HEADER <= end; at += u32(at) + 3 & ~3) {
      yield { family, type: u16(at + 4), flags: u16(at + 6), command: pcap[at + MESSAGE_HEADER] ?? 0 }
      if (u32(at) < MESSAGE_HEADER) break
    }
    record = end
  }
}
