/** examples/ipvsadm.ts beyond a line: files to restore, connections and counters, and as a program of its own. */

import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect as dial, createServer, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Connection, DestinationAttributes, FamilyClient, ipvs, ServiceAttributes } from '../../../generic-netlink/index.js'
import { formatRules } from '../../../lib/ipvs/rules/format.js'
import { ours, PATCHED, resultOf, stateOf, theirs, wordsOf } from '../../support/ipvsadm.js'
import { connect, EVERY_BIT } from '../../support/kernel.js'
import { spawn, type Ran } from '../../support/programs.js'
import { asNobody, NODE } from '../../support/run.js'
import { virtualServices } from '../../support/services.js'

const PROGRAM = fileURLToPath(new URL('../../../dist/examples/ipvsadm.js', import.meta.url))
/** Ours, as a process. */
const program = (words: readonly string[], input = ''): Ran => spawn(process.execPath, [PROGRAM, ...words], input)

let connection: Connection
let client: FamilyClient<typeof ipvs.commands>
beforeAll(async () => { ({ connection, client } = await connect('descriptor')) })
afterAll(async () => {
  await client.call('flush', {})
  connection.close()
})

const A = '-A -t 10.0.0.1:80\n'

/** Files, whole and broken. */
const FILES: readonly string[] = [
  '', '\n', '  \n\t\n\r\n', A, A.trimEnd(), `ipvsadm ${A}ipvsadm ipvsadm\nipvsadm -A ipvsadm -t 10.0.0.2:80\n`, `/sbin/ipvsadm ${A}`, `${A}/sbin/ipvsadm -A -t 10.0.0.2:80\n`,
  `\n \t-A\t-t \t10.0.0.1:80\r\n\r\n-Ln\n-Sn\n`, `# x\n${A}`, `#\n${A}`, `${A}#-A -t 10.0.0.1:82\n-A -t 10.0.0.1:81\n`, `${A.trimEnd()} # x\n-A -t 10.0.0.2:80`, '-A #-t 10.0.0.1:80\n',
  '-A -t 10.0.0.1:80#foo bar\n',
  // What is wrong ends it; what is unknown, or the kernel refuses, does not.
  `${A}-L -x -y\n-A -t 10.0.0.2:80\n`, `${A}${A}-A -t 10.0.0.2:80\n`, `${A}-A -t 10.0.0.2:80\n${A}`, `${A}-R\n-A -t 10.0.0.2:80\n`, `${A}-A --nosuch\n-A -t 10.0.0.2:80\n`,
  `${A}-A --nosuch`, `${A}-A -t\n-A -t 10.0.0.2:80`, `-A -t 10.0.0.2:80 -o=1\n${A}`,
  `-x\n${A}`, `${A}foo\n-A -t 10.0.0.2:80\n`, `-D -t 10.0.0.9:80\n${A}`, `${A}-D -t 10.0.0.9:80\n`, `${A}-L -t 10.0.0.9:80\n-A -t 10.0.0.2:80\n`,
  `${A}-a -t 10.0.0.1:80 -r 224.0.0.1\n-a -t 10.0.0.1:80 -r 10.0.1.1\n`,
  `-A -t 10.0.0.1:80 \\\n -s rr\n`, '-A -t "10.0.0.1:80"\n', '-A -t 10.0.0.1:80\v-s\frr\n', '-A -t 10.0.0.1:80\0 -s rr\n-A -t 10.0.0.1:81\n', '-A -t 10.0.0.1:80\r-s rr\n-A -t 10.0.0.1:81\r\n',
  `${A}-C\n-A -t 10.0.0.2:80\n`, `${A}--set 5 6 7\n-L --timeout\n--set 900 120 300\n-L --timeout\n`, `${A}-E -t 10.0.0.1:80 -s rr\n-L -n\n-Z\n-S\n`,
  `${A}-A -f 4294967295\n-S -n\n-A -f -1\n-A -t 10.0.0.2:80\n`,
  `${A}-E -t 10.0.0.1:80 -s sh -b flag-3\n-S -n\n-A -t 10.0.0.1:80 -s sh -b \n-A -t 10.0.0.2:80\n`,
]
/** With words of around 4,096 bytes. */
const LONG_FILES = [4096, 4097, 5000].map(length => `${A}-A -t 10.0.0.2:80 -s ${'x'.repeat(length)}\n-A -t 10.0.0.3:80\n`)

describe('-R', () => {
  beforeEach(async () => { await client.call('flush', {}) })

  const same = async (files: readonly string[]): Promise<void> => {
    const start = await stateOf(client)
    for (const file of files) {
      const their = await resultOf(client, start, () => theirs(['-R'], file))
      expect({ file, ...await resultOf(client, start, () => ours(['-R'], file)) }).toEqual({ file, ...their })
    }
  }
  it('does what the real one does, of good files and of broken ones', () => same(FILES), 300_000)
  it.skipIf(PATCHED)('does so of files with long lines, where the real one ends at all', () => same(LONG_FILES), 300_000)

  it.each([1, 2, 3])('restores what -S saves, and each what the other saved: seed %i', async seed => {
    const services = fc.sample(virtualServices({ minLength: 20, maxLength: 30, ordered: true, local: false }), { seed: seed + 900, numRuns: 1 })[0]!
    const rules = formatRules(services, { strict: true }).split('\n').filter(line => !line.endsWith('-b ')).join('\n')
    const done = { status: 0, stdout: '', stderr: '' }
    expect(await ours(['-R'], rules)).toMatchObject({ stdout: '' })
    const saved = theirs(['-S', '-n'])
    expect(saved.stdout.length).toBeGreaterThan(1000)
    expect(await ours(['-S', '-n'])).toEqual(saved)
    const state = await stateOf(client)
    for (const [save, restore] of [[ours, theirs], [theirs, ours], [ours, ours]] as const) {
      const { stdout } = await save(['-S', '-n'])
      await client.call('flush', {})
      expect(await restore(['-R'], stdout)).toEqual(done)
      expect(theirs(['-S', '-n'])).toEqual(saved)
    }
    expect((await stateOf(client)).services.length).toBe(state.services.length)
    expect(await ours(['-S'])).toEqual(theirs(['-S'])) // by name
  }, 300_000)
})

// ── a table that others made ──

describe('what only other programs set', () => {
  const flags = (...names: string[]): ServiceAttributes['flags'] => ({ flags: Object.fromEntries(names.map(name => [name, true])), mask: EVERY_BIT })
  const base: ServiceAttributes = { af: 'inet', protocol: 'tcp', addr: '10.0.0.1', port: 80, schedName: 'rr', flags: flags(), timeout: 0, netmask: '255.255.255.255' }
  const services: ServiceAttributes[] = [
    base, { ...base, protocol: 47 }, { ...base, port: 0 }, { ...base, addr: '224.0.0.9', flags: flags('onePacket') }, { ...base, addr: '10.0.0.2', schedName: 'sh', flags: flags('sched3') },
    { ...base, addr: '10.0.0.5', netmask: '255.0.255.0', flags: flags('persistent') }, { ...base, addr: '10.0.0.6', netmask: '255.0.255.0', timeout: 5 }, { ...base, addr: '10.0.0.7', timeout: 4000000, flags: flags('persistent') },
    { ...base, addr: '10.0.0.8', schedName: 'none' }, { ...base, addr: '10.0.0.9', flags: flags('6', '31', 'sched2') }, { ...base, af: 'inet6', addr: '::102:304', netmask: 128 },
    { af: 'inet6', fwmark: 0xffffffff, schedName: 'wlc', flags: flags('persistent', 'onePacket', 'sched1', 'sched2', 'sched3'), timeout: 0, netmask: 1 },
  ]
  const server: DestinationAttributes = { addrFamily: 'inet', addr: '10.0.1.1', port: 8080, fwdMethod: 'masq', weight: 1, uThresh: 9, lThresh: 3 }
  const servers: DestinationAttributes[] = [
    server, ...(['local', 'tunnel', 'route', 'bypass', 5, 6, 7] as const).map((fwdMethod, i) => ({ ...server, fwdMethod, addr: `10.0.2.${i}` })),
    { ...server, fwdMethod: 'tunnel', addr: '10.0.3.1', tunType: 3 }, { ...server, fwdMethod: 'tunnel', addr: '10.0.3.2', tunType: 'ipip', tunPort: 9, tunFlags: { csum: true } },
    { ...server, fwdMethod: 'tunnel', addr: '10.0.3.3', tunType: 'gre', tunPort: 9, tunFlags: { remcsum: true } }, { ...server, fwdMethod: 'masq', addr: '10.0.3.4', tunType: 'gue', tunPort: 9 },
  ]

  it('is listed and saved the same', async () => {
    await client.call('flush', {})
    for (const service of services) await client.call('newService', { service })
    for (const dest of servers) await client.call('newDest', { service: { af: 'inet', protocol: 'tcp', addr: '10.0.0.1', port: 80 }, dest })
    const lines = ['-Ln', '-L', '-Ln --nosort', '-Ln --tun-info', '-Ln --thresholds', '-Ln --persistent-conn', '-Ln --stats', '-Ln -t 10.0.0.1:80', '-Ln -t [::1.2.3.4]:80', '-Sn', '-S', '-Z -t 224.0.0.9:80']
    for (const line of lines) expect({ line, ...await ours(wordsOf(line)) }).toEqual({ line, ...theirs(wordsOf(line)) })
    await client.call('flush', {})
  })
})

// ── connections and counters ──

describe('with connections', () => {
  const servers: Server[] = []
  const sockets: Socket[] = []
  const INVITE = ['INVITE sip:a@b SIP/2.0', 'Via: SIP/2.0/UDP 10.8.2.1:5060', 'From: <sip:a@b>;tag=1', 'To: <sip:c@d>', 'Call-ID: 006617d3-e0d8@10.8.2.1', 'CSeq: 1 INVITE', 'Content-Length: 0', '', ''].join('\r\n')
  const RULES = `
    -A -t 10.8.0.1:80 -s rr -p 300 -M 255.255.255.0
    -a -t 10.8.0.1:80 -r 10.8.1.1:8080 -m -x 1000
    -A -t [fd08::1]:80 -s rr
    -a -t [fd08::1]:80 -r [fd08::1:1]:8080 -m
    -A -u 10.8.0.1:53 -s rr
    -a -u 10.8.0.1:53 -r 10.8.77.2:53 -g
    -a -u 10.8.0.1:53 -r 10.8.77.3:53 -g
    -A -u 10.8.0.1:54 -s rr
    -a -u 10.8.0.1:54 -r [fd08::77]:54 -i
    -A -u 10.8.0.1:5060 -s rr -p 300 --pe sip
    -a -u 10.8.0.1:5060 -r 10.8.77.5:5060 -g
    -A -f 7 -s rr -p 300
    -a -f 7 -r 10.8.77.4 -g
    -A -f 2147483649 -6 -s rr -p 300 -M 64
    -a -f 2147483649 -6 -r fd08::78 -g
  `
  const talk = async (host: string): Promise<void> => {
    const socket = dial({ host, port: 80 })
    sockets.push(socket)
    await once(socket, 'connect')
    socket.write('x'.repeat(1000))
    await once(socket, 'data')
  }
  const tell = async (type: 'udp4' | 'udp6', to: string, port: number, text: string): Promise<void> => {
    const socket = createSocket(type)
    await new Promise<void>((resolve, reject) => { socket.send(text, port, to, error => error ? reject(error) : resolve()) })
    socket.close()
  }
  /** Node has no SO_MARK. */
  const tellMarked = (family: 'AF_INET' | 'AF_INET6', to: string, mark: number): string => execFileSync('python3', ['-c',
    `import socket, struct\ns = socket.socket(socket.${family}, socket.SOCK_DGRAM)\ns.setsockopt(socket.SOL_SOCKET, 36, struct.pack('I', ${mark}))\ns.sendto(b'x', ('${to}', 99))`], { encoding: 'utf8' })

  beforeAll(async () => {
    execFileSync('ip', ['-batch', '-'], { input: [
      'link add ipvs8 type dummy', 'link set ipvs8 up', ...['0.1', '0.7', '1.1'].map(a => `address add 10.8.${a}/16 dev ipvs8`), ...['1', '7', '1:1'].map(a => `address add fd08::${a}/64 dev ipvs8 nodad`),
    ].join('\n') })
    for (const host of ['10.8.1.1', 'fd08::1:1']) {
      const server = createServer(socket => {
        sockets.push(socket)
        socket.pipe(socket)
      })
      servers.push(server)
      server.listen(8080, host)
      await once(server, 'listening')
    }
    expect(await ours(['-R'], RULES.trim())).toEqual({ status: 0, stdout: '', stderr: '' })
    theirs(['--set', '900', '120', '300']) // what other files leave may be short
    await talk('10.8.0.1')
    await talk('10.8.0.1')
    await talk('fd08::1')
    await tell('udp4', '10.8.0.1', 53, 'x')
    await tell('udp4', '10.8.0.1', 54, 'x')
    await tell('udp4', '10.8.0.1', 5060, INVITE)
    tellMarked('AF_INET', '10.8.0.7', 7)
    tellMarked('AF_INET6', 'fd08::7', 2147483649)
  })
  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    for (const server of servers) await new Promise(resolve => server.close(resolve))
    execFileSync('ip', ['link', 'delete', 'ipvs8'])
  })

  const LISTS = ['-Ln', '-L', '-Ln --persistent-conn', '-Ln --thresholds', '-Ln --stats', '-L --stats --exact', '-Ln --rate', '-Ln --rate --exact', '-L --rate -f 7']

  it('both list the same', async () => {
    // The kernel sums up every two seconds.
    await expect.poll(() => theirs(['-Ln', '--stats']).stdout, { timeout: 20_000 }).toMatch(/^TCP +10\.8\.0\.1:80 +2 +[1-9]/m)
    for (const list of LISTS) {
      await expect.poll(async () => {
        const [before, own, after] = [theirs(wordsOf(list)), await ours(wordsOf(list)), theirs(wordsOf(list))]
        expect({ ...own, stdout: '' }).toEqual({ status: 0, stdout: '', stderr: '' })
        return own.stdout === before.stdout || own.stdout === after.stdout ? 'the same' : `${before.stdout}${own.stdout}${after.stdout}`
      }, { timeout: 30_000 }).toBe('the same')
    }
  })

  /** Rows without when they expire, and when: those of this file, as connections outlive the services that other files made. */
  const expiries = ({ stdout }: Ran): [rows: string, seconds: number[]] => {
    const seconds: number[] = []
    const rows = stdout.split('\n').filter((line, i) => i < 2 || /\b10\.8\.|\bfd08:/.test(line)).join('\n').replace(/^(\S+ +)(\d\d):(\d\d) /gm, (_, protocol: string, m: string, s: string) => {
      seconds.push(Number(m) * 60 + Number(s))
      return protocol
    })
    return [rows, seconds]
  }

  it.each(['-Lcn', '-Lc', '-Lcn --persistent-conn', '-Lc --persistent-conn'])('both list the same connections: %s', async list => {
    const words = wordsOf(list)
    const [before, own, after] = [expiries(theirs(words)), expiries(await ours(words)), expiries(theirs(words))]
    expect(own[0]).toBe(before[0])
    expect(own[1]).toHaveLength(12)
    expect(own[1].filter((seconds, i) => seconds > before[1][i]! || seconds < after[1][i]!)).toEqual([])
  })

  it('both set the same to zero', async () => {
    expect(await ours(['-Z', '-u', '10.8.0.1:53'])).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(theirs(['-Ln', '--stats', '-u', '10.8.0.1:53']).stdout).toMatch(/^UDP +10\.8\.0\.1:53 +0 +0 +0 +0 +0$/m)
    expect(theirs(['-Ln', '--stats']).stdout).toMatch(/^TCP +10\.8\.0\.1:80 +2 +[1-9]/m)
    expect(await ours(['-Z'])).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(theirs(['-Ln', '--stats']).stdout.replace(/^.*\n.*\n.*\n/, '')).not.toMatch(/ [1-9]\d*$/m)
  })
})

// ── as a program ──

describe('as a program', () => {
  beforeEach(async () => { await client.call('flush', {}) })

  const LINES = [
    '-A -t 10.0.0.1:http -s rr -p', '-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m -x 9', '-a -t 10.0.0.1:80 -r 10.0.1.2 -i --tun-type gue --tun-port 6080', '-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m', '-A -f 4294967295 -6', '', '-L', '-Ln --stats',
    '-S', '-S -n', '-L --timeout', '-D -t 10.0.0.9:80', '-L -t 10.0.0.9:80', '--nosuch', '-A', '-L -z', '--set 1 2', '-A -t nosuch:80', '-C',
  ]

  it('does the same, with the same status on the same streams', async () => {
    const run = async (one: (words: readonly string[], input?: string) => Ran): Promise<Ran[]> => {
      await client.call('flush', {})
      return LINES.map(line => one(wordsOf(line)))
    }
    expect(await run(program)).toEqual(await run(theirs))
  }, 600_000)

  it('restores from a pipe, and saves into one', () => {
    const rules = '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m -w 1\n-A -f 7 -6 -s wlc\n'
    expect(program(['-R'], rules)).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(program(['-S', '-n'])).toEqual({ status: 0, stdout: rules, stderr: '' })
  })

  it('is refused where the real one is', () => {
    const nobody = (...command: string[]): Ran => {
      const [program, ...words] = asNobody(command)
      return spawn(program, words)
    }
    for (const words of [['-L'], ['-h'], ['--nosuch']]) {
      const real = nobody('ipvsadm', ...words)
      expect(real.status).toBe(2)
      expect(nobody(NODE, 'dist/examples/ipvsadm.js', ...words)).toEqual(real)
    }
  })

  it('helps, and says its version', async () => {
    for (const words of [['-h'], ['--help'], ['-v'], ['--version'], ['-hv', '-x']]) {
      const [their, own] = [theirs(words), await ours(words)]
      expect({ ...own, stdout: '' }).toEqual({ ...their, stdout: '' })
      expect(own.stdout).toMatch(/^ipvsadm v1\.31.*IPVS v1\.2\.1\)\n/)
      for (const [name] of their.stdout.matchAll(/--[a-z][a-z-]+|(?<= )-\w\b/g)) expect(own.stdout).toContain(name)
    }
  })
})
