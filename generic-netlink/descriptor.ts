/** The descriptor of a socket that the addon opened: the addon keeps the number to itself. */

import { randomInt } from 'node:crypto'
import fs from 'node:fs'
import type { NativeSocket } from './addon.js'
import { Output } from './buffers.js'
import {
  eachMessage, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_NOOP, readVerdict, writeMessage, type Message,
} from './message.js'
import { giveBack, takeBuffer } from './read-buffer.js'

// The originals: a later patch of `fs` does not reach the wire.
const { readdirSync, readlinkSync, readSync, writeSync } = fs

const DESCRIPTORS = '/proc/self/fd'

/** Other threads open sockets, too: where one does at the same time, the next attempt decides. */
const ATTEMPTS = 20

/** A socket of the addon, and its descriptor; -1 where that cannot be found. */
export interface Opened {
  readonly native: NativeSocket
  readonly fd: number
}

/**
 * Opens a socket and finds its descriptor: the only socket that this process did not have before.
 * Then the acknowledgement of a no-op, sent through the descriptor, must name the socket's port.
 */
export function openWithDescriptor(open: () => NativeSocket): Opened {
  for (let attempt = 1; ; attempt++) {
    const before = socketsOfProcess()
    const native = open()
    const added = [...socketsOfProcess()].filter(([socket]) => !before.has(socket))
    const fd = added.length === 1 ? added[0]![1] : -1
    if (fd >= 0 && answers(native, fd)) return { native, fd }
    if (fd >= 0 || added.length === 0 || attempt === ATTEMPTS) return { native, fd: -1 }
    native.close()
  }
}

/** The descriptors of sockets, by what /proc calls the sockets; none where there is no /proc. */
function socketsOfProcess(): Map<string, number> {
  const sockets = new Map<string, number>()
  let names: string[] = []
  try { names = readdirSync(DESCRIPTORS) } catch { /* nothing is mounted there */ }
  for (const name of names) {
    // A status of the descriptor would say the same, and costs five times the memory.
    try {
      const target = readlinkSync(`${DESCRIPTORS}/${name}`)
      if (target.startsWith('socket:')) sockets.set(target, Number(name))
    } catch { /* closed meanwhile, as the descriptor of the folder itself */ }
  }
  return sockets
}

/** Whether the kernel answers a no-op that is sent through the descriptor, to the socket's port. */
function answers(native: NativeSocket, fd: number): boolean {
  const probe = new Output()
  const seq = randomInt(0x1_0000_0000)
  writeMessage(probe, NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, seq, () => {})
  const answer = takeBuffer()
  let acknowledged = false
  try {
    writeSync(fd, probe.finish())
    const { port } = native.address()
    eachMessage(answer, readSync(fd, answer.bytes), (message: Readonly<Message>) => {
      acknowledged ||= message.type === NLMSG_ERROR && message.port === port && message.seq === seq
        && readVerdict(answer, message).errno === 0
    })
  } catch { /* no netlink socket, or one of a sandbox */ } finally { giveBack(answer) }
  return acknowledged
}
