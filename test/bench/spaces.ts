/**
 * Empty tables, one after the other, for one and the same process: Node cannot change its network namespace, but floor.c's `spaces`
 * made several, and left two sockets into each open from descriptor 3 on: one for commands, one for dumps.
 */

import { closeSync, readSync, writeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Input } from '../../generic-netlink/index.js'
import type { OpenSocket } from '../../generic-netlink/socket.js'

const FIRST = 3, SOCKETS = 2

let space = -1
let opened = 0

/** Datagrams that went out. */
export let sent = 0

/**
 * What is opened from now on is in the next namespace. The last one ends, once the caller has closed what it opened: what is left
 * in it would be in the way of all others', as the services of all lie in one hash table.
 */
export async function nextSpace(): Promise<void> {
  while (space >= 0 && opened < SOCKETS) closeSync(FIRST + SOCKETS * space + opened++)
  space++
  opened = 0
  await setTimeout(1000)
}

/** One of the namespace's sockets; like one of descriptor-socket.ts. */
export const openInSpace: OpenSocket = (_, listener) => {
  const fd = FIRST + SOCKETS * space + opened++
  const input = new Input(new Uint8Array(65_536))
  return {
    receiveBuffer: 212_992, sendBuffer: 212_992,
    send(datagram) { sent++; writeSync(fd, datagram) },
    receive() {
      try { listener.datagram(input, readSync(fd, input.bytes)) } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false
        throw error
      }
      return true
    },
    ref() {}, unref() {}, close() { closeSync(fd) },
  }
}
