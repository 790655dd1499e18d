/**
 * A client that asks all the time, 50 times a second, from a new source port each time,
 * until SIGTERM. It prints a line for each question: when it was asked, and which server answered.
 *
 *     node stream.js 192.168.50.100
 */

import { createSocket } from 'node:dgram'
import { patience } from '../support/patience.js'
import { serverOf, type StreamAnswer } from './checks.js'

const INTERVAL = 20
/** The longest wait for an answer, in milliseconds. */
const LIMIT = patience(2_500)
/** Where answers take long, it asks less often. */
const MOST_PENDING = 10

const vip = process.argv[2]
if (vip === undefined) throw new Error('node stream.js VIP')

let pending = 0
const timer = setInterval(() => { if (pending < MOST_PENDING) ask(vip) }, INTERVAL)
process.on('SIGTERM', () => clearInterval(timer)) // it ends with the last answer

/** What `dig version.bind CH TXT` asks. */
function question(id: number): Buffer {
  const header = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] // 1: recursion is desired, as by dig; one question
  return Buffer.from([...header, 7, ...Buffer.from('version'), 4, ...Buffer.from('bind'), 0, 0, 16, 0, 3]) // TXT, CH
}

function ask(vip: string): void {
  pending++
  const asked = Date.now(), message = question(asked & 0xffff)
  const socket = createSocket('udp4')
  const end = (answer: Omit<StreamAnswer, 'asked'>): void => {
    clearTimeout(limit)
    socket.close()
    pending--
    console.log(JSON.stringify({ asked, ...answer }))
  }
  const limit = setTimeout(() => end({ problem: `no answer within ${LIMIT} ms` }), LIMIT)
  socket.on('error', ({ message }) => end({ problem: message }))
  socket.on('message', answer => {
    const server = serverOf(answer.toString('latin1'))
    if (answer.readUInt16BE(0) !== message.readUInt16BE(0)) return
    end(server === undefined ? { problem: 'an answer without a name' } : { server })
  })
  socket.connect(53, vip, () => socket.send(message))
}
