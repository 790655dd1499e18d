/** What a host's programs send to its kernel over netlink, seen by nlmon, the kernel's own tap. */

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import type { Hosts } from './hosts.js'
import { captureProblems } from './tcpdump.js'

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
  // Room for 256 of the largest datagrams: with its own sizes tcpdump has room for eight.
  const room = ['-s', '65536', '-B', '16384']
  const command = ['tcpdump', '-U', '--immediate-mode', ...room, '-i', 'nlmon0', '-w', file]
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

const FILE_HEADER = 24, RECORD_HEADER = 16, COOKED_HEADER = 16, MESSAGE_HEADER = 16
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
  const problems = captureProblems('nlmon0', stderr)
  if (truncated(pcap)) problems.push('tcpdump on nlmon0 has cut packets short')
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

// tcpdump writes in the machine's byte order, and netlink is in it.
const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
const u16 = (bytes: Buffer, at: number): number => little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)
const u32 = (bytes: Buffer, at: number): number => little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)

/** The packets of a pcap file of this machine's tcpdump, each with its length on the wire. */
function* packets(pcap: Buffer): Generator<{ packet: Buffer; length: number }> {
  for (let at = FILE_HEADER; at + RECORD_HEADER <= pcap.length;) {
    const start = at + RECORD_HEADER, end = start + u32(pcap, at + 8)
    yield { packet: pcap.subarray(start, end), length: u32(pcap, at + 12) }
    at = end
  }
}

const truncated = (pcap: Buffer): boolean => [...packets(pcap)].some(({ packet, length }) => packet.length < length)

interface Message { readonly family: number; readonly type: number; readonly flags: number; readonly command: number }

/** The netlink messages of all packets. A packet has one or several. */
function* messages(pcap: Buffer): Generator<Message> {
  for (const { packet } of packets(pcap)) {
    const family = packet.readUInt16BE(14) // of tcpdump's own header, which is in the network's byte order
    for (let at = COOKED_HEADER; at + MESSAGE_HEADER <= packet.length;) {
      yield { family, type: u16(packet, at + 4), flags: u16(packet, at + 6), command: packet[at + MESSAGE_HEADER] ?? 0 }
      at += Math.max(u32(packet, at), MESSAGE_HEADER) + 3 & ~3
    }
  }
}
