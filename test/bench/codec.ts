/**
 * The codecs alone, on any machine: one destination from the family's table, and the time from import
 * to the first answer of the kernel. `node dist/test/bench/codec.js`
 */

import { execFileSync } from 'node:child_process'
import { Input, ipvs, Output } from '../../generic-netlink/index.js'
import { digits, median, print, verdict } from './measure.js'

/** What Linux 6.1 answered to getDest: a GUE tunnel with all its attributes, without the generic netlink header. */
const GOLDEN = Buffer.from([
  '7c01020014000100c0a8346500000000000000000000000006000200003500000800030002000000080004000200000005000d000100000006000e00',
  '17c0000006000f00010000000800050000000000080006000000000008000700000000000800080000000000080009000000000006000b0002000000',
  '64000a0008000100000000000800020000000000080003000000000004000b000c000400000000000000000004000b000c0005000000000000000000',
  '080006000000000008000700000000000800080000000000080009000000000008000a0000000000a0000c000c000100000000000000000004000b00',
  '0c000200000000000000000004000b000c000300000000000000000004000b000c000400000000000000000004000b000c0005000000000000000000',
  '04000b000c000600000000000000000004000b000c000700000000000000000004000b000c000800000000000000000004000b000c00090000000000',
  '0000000004000b000c000a000000000000000000',
].join(''), 'hex')

const [, command] = ipvs.commands.getDest
const input = new Input(GOLDEN)
const output = new Output(1024)
const { dest } = command.read(input, 0, GOLDEN.length, {})
const request = {
  service: { af: 'inet', protocol: 'udp', addr: '192.168.50.100', port: 53 },
  dest: { ...dest!, stats: undefined, stats64: undefined, activeConns: undefined, inactConns: undefined, persistConns: undefined },
} as const

const ROUNDS = 15
const TIMES = 100_000
let sink = 0

/** Nanoseconds of processor time that one call takes, the median of rounds; the first rounds let the compiler finish. */
function time(run: () => number): number {
  const rounds: number[] = []
  for (let round = -3; round < ROUNDS; round++) {
    const start = process.cpuUsage()
    for (let i = 0; i < TIMES; i++) sink += run()
    const { user, system } = process.cpuUsage(start)
    if (round >= 0) rounds.push((user + system) * 1000 / TIMES)
  }
  return median(rounds)
}

const decoding = time(() => command.read(input, 0, GOLDEN.length, {}).dest!.port!)
const encoding = time(() => {
  output.length = 0
  command.write(output, request, {})
  return output.length
})

// A child with nothing loaded; 'nlctrl' is the family that every kernel has.
const index = new URL('../../generic-netlink/index.js', import.meta.url).href
const script = `
  const start = performance.now()
  const { Connection, describeFamily, NETLINK_GENERIC } = await import('${index}')
  await describeFamily(new Connection(NETLINK_GENERIC), 'nlctrl')
  console.log(performance.now() - start)`
const starts = Array.from({ length: 9 }, () => Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })))
const starting = median(starts)

print(`Codecs, Node ${process.version}`, [
  ['', 'time', 'goal'],
  [`decode a destination (${GOLDEN.length} bytes)`, `${digits(decoding)} ns`, verdict(decoding <= 500, '≤ 500')],
  [`encode a destination (${output.length} bytes)`, `${digits(encoding)} ns`, verdict(encoding <= 600, '≤ 600')],
  ['import to family resolved', `${digits(starting)} ms`, verdict(starting <= 10, '≤ 10')],
])
if (sink === 0) console.log()
