import { spawn, type ChildProcess } from 'node:child_process'
import { createServer, type Server, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connections, type ConnectionFilter, type ConnectionListOptions, type ConnectionState } from '../../../lib/index.js'
import { parseConnection } from '../../../lib/proc/connection-rows.js'
import { formatConnection, headers, ipvsadmWords } from '../../support/connections.js'
import { child } from '../../support/child.js'
import { asNobody, ipvsadm, NODE, run } from '../../support/run.js'

/**
 * Makes connections, keeps them until its stdin ends, and says what came of them: `[KIND, FROM, PORT, TO, PORT, MARK, PAYLOAD]` each. What Node
 * cannot do is set a mark and send SCTP; what it does slowly is send from very many ports.
 */
const CLIENTS = `
import json, socket, struct, sys
def crc32c(data):
    c = 0xffffffff
    for byte in data:
        c ^= byte
        for _ in range(8): c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return struct.pack('<I', c ^ 0xffffffff)
kept = []
for kind, source, port, to, to_port, mark, payload in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ':' in source else socket.AF_INET
    if kind == 'sctp': # an INIT, which is what opens an association
        s = socket.socket(family, socket.SOCK_RAW, 132)
        s.bind((source, 0))
        head, init = struct.pack('>HHI', port, to_port, 0), struct.pack('>BBHIIHHI', 1, 0, 20, 1, 65535, 1, 1, 1)
        s.sendto(head + crc32c(head + bytes(4) + init) + init, (to, 0))
        continue
    for i in range(int(payload) if kind == 'many' else 1):
        s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
        if mark: s.setsockopt(socket.SOL_SOCKET, 36, struct.pack('I', mark)) # SO_MARK
        s.bind((source, port + i))
        if kind == 'tcp':
            s.connect((to, to_port))
            kept.append(s)
        else:
            try: s.sendto(payload.encode(), (to, to_port))
            except OSError as error: sys.exit(f'to {to} {to_port}: {error}')
            s.close()
print('made', flush=True)
sys.stdin.read()
`
type Client = readonly [kind: 'tcp' | 'udp' | 'sctp' | 'many', from: string, port: number, to: string, toPort: number, mark?: number, payload?: string]

const clients: ChildProcess[] = []
/** Makes connections that stay until the end of the test. */
async function connect(...made: Client[]): Promise<void> {
  const list = made.map(([kind, from, port, to, toPort, mark = 0, payload = 'x']) => [kind, from, port, to, toPort, mark, payload])
  const python = spawn('python3', ['-c', CLIENTS, JSON.stringify(list)], { stdio: ['pipe', 'pipe', 'inherit'] })
  clients.push(python)
  await new Promise<void>((resolve, reject) => {
    python.stdout.once('data', () => resolve())
    python.once('exit', code => reject(new Error(`the clients ended with ${code ?? 'a signal'}`)))
  })
}

const all = async (filter?: ConnectionFilter, options?: ConnectionListOptions): Promise<ConnectionState[]> => {
  const rows = []
  for await (const row of connections(filter, options)) if (ours(row)) rows.push(row)
  return rows
}
/** Those of this file: connections outlive the services that other files made. */
const ours = ({ client }: ConnectionState): boolean => /^(10\.19\.|fd19:)/.test(client.address)
const procLines = (name: string): string[] => readFileSync(`/proc/net/${name}`, 'latin1').trimEnd().split('\n')
const names = (rows: readonly ConnectionState[]): string[] =>
  rows.map(row => ipvsadmWords(row)).map(([protocol, , state, ...ends]) => [protocol, state, ...ends].join(' ')).sort()

const servers: Server[] = []
const sockets: Socket[] = []
beforeAll(async () => {
  run('modprobe', ['ip_vs'])
  ipvsadm('--set 900 120 300') // what other files leave may be short
  run('ip', ['-batch', '-'], [
    'link add conn0 type dummy', 'link set conn0 up',
    ...['0.1', '0.7', '1.1', '2.1', '2.9', '2.77'].map(a => `address add 10.19.${a}/16 dev conn0`),
    ...['1', '7', '1:1', '2:1'].map(a => `address add fd19::${a}/64 dev conn0 nodad`),
  ].join('\n'))
  for (const host of ['10.19.1.1', 'fd19::1:1']) {
    const server = createServer(socket => {
      sockets.push(socket)
      socket.on('error', () => socket.destroy())
    })
    servers.push(server)
    await new Promise<void>(resolve => { server.listen(8080, host, resolve) })
  }
})
afterAll(async () => {
  for (const python of clients) {
    python.stdin!.end()
    if (python.exitCode === null) await new Promise(resolve => python.once('exit', resolve))
  }
  for (const socket of sockets) socket.destroy() // a FIN does not reach them once the real server is gone
  for (const server of servers) await new Promise(resolve => server.close(resolve))
  ipvsadm('-C')
  run('ip', ['link', 'delete', 'conn0'])
})

const INVITE = [
  'INVITE sip:a@b SIP/2.0', 'Via: SIP/2.0/UDP 10.19.2.1:5060', 'From: <sip:a@b>;tag=1', 'To: <sip:c@d>', 'Call-ID: 006617d3-e0d8@10.19.2.1', 'CSeq: 1 INVITE',
  'Content-Length: 0', '', '',
].join('\r\n')

describe('connections of every kind', () => {
  /** Services, each with its real server. */
  const services = [
    '-t 10.19.0.1:80 -s rr', '-r 10.19.1.1:8080 -m',
    '-t [fd19::1]:80 -s rr', '-r [fd19::1:1]:8080 -m',
    '-t 10.19.0.1:90 -s rr -p 300 -M 255.255.255.0', '-r 10.19.1.1:8080 -m',
    '-u 10.19.0.1:53 -s rr', '-r 10.19.77.2:53 -g',
    '-u 10.19.0.1:54 -s rr', '-r [fd19::77]:54 -i',
    '-u [fd19::1]:53 -s rr', '-r 10.19.77.3:53 -i',
    '-f 7 -s rr -p 300', '-r 10.19.77.4:0 -g',
    '-f 4294967295 -6 -s rr -p 300 -M 64', '-r [fd19::78]:0 -g',
    '-u 10.19.0.1:5060 -s rr -p 300 --pe sip', '-r 10.19.77.5:5060 -g',
    '-u 10.19.0.1:0 -s rr -p 300', '-r 10.19.77.6:0 -g',
    '--sctp-service 10.19.0.1:36412 -s rr', '-r 10.19.77.7:36412 -g',
  ]
  beforeAll(async () => {
    services.forEach((words, i) => ipvsadm(i % 2 ? `-a ${/^\S+ \S+( -6)?/.exec(services[i - 1]!)![0]} ${words}` : `-A ${words}`))
    await connect(
      ['tcp', '10.19.2.1', 40001, '10.19.0.1', 80], ['tcp', 'fd19::2:1', 40002, 'fd19::1', 80], ['tcp', '10.19.2.9', 40003, '10.19.0.1', 90],
      ['udp', '10.19.2.1', 40004, '10.19.0.1', 53], ['udp', '10.19.2.1', 40005, '10.19.0.1', 54], ['udp', 'fd19::2:1', 40006, 'fd19::1', 53],
      ['udp', '10.19.2.77', 40007, '10.19.0.7', 99, 7], ['udp', 'fd19::2:1', 40008, 'fd19::7', 99, 4294967295],
      ['udp', '10.19.2.1', 5060, '10.19.0.1', 5060, 0, INVITE], ['udp', '10.19.2.77', 40009, '10.19.0.1', 7777],
    )
  })

  afterAll(() => { ipvsadm('-C') }) // the connections stay

  it('are those that ipvsadm prints, in the same order, to the last column', async () => {
    const printed = (): string[][] => ipvsadm('-Lcn').trimEnd().split('\n').slice(2).map(line => line.split(/ +/))
    // Between two readings a second may pass: they count where it did not.
    await expect.poll(async () => {
      const before = printed()
      const rows = []
      for await (const row of connections()) rows.push(row)
      expect(rows.filter(ours)).toHaveLength(15)
      expect(printed().map(words => words.toSpliced(1, 1))).toEqual(rows.map(row => ipvsadmWords(row).toSpliced(1, 1)))
      return JSON.stringify(before) === JSON.stringify(rows.map(ipvsadmWords)) ? 'the same' : JSON.stringify([before, rows.map(ipvsadmWords)])
    }).toBe('the same')
  })

  it('are what the files say, to the last byte', () => {
    for (const [i, name] of ['ip_vs_conn', 'ip_vs_conn_sync'].entries()) {
      const [header, ...lines] = procLines(name)
      expect(header).toBe(headers[i])
      const own = lines.filter(line => ours(parseConnection(line)!))
      expect(own).toHaveLength(15)
      expect(own.map(line => formatConnection(parseConnection(line)!))).toEqual(own)
    }
  })

  it('say who is served by whom, and for what templates are', async () => {
    const rows = await all()
    expect(names(rows)).toEqual([
      'IP NONE 10.19.2.77:0 0.0.0.7:0 10.19.77.4:0',
      'IP NONE [fd19::]:0 [ffff:ffff::]:0 [fd19::78]:0',
      'TCP ASSURED 10.19.2.0:0 10.19.0.1:90 10.19.1.1:8080',
      'TCP ESTABLISHED 10.19.2.1:40001 10.19.0.1:80 10.19.1.1:8080',
      'TCP ESTABLISHED 10.19.2.9:40003 10.19.0.1:90 10.19.1.1:8080',
      'TCP ESTABLISHED [fd19::2:1]:40002 [fd19::1]:80 [fd19::1:1]:8080',
      'UDP NONE 10.19.2.1:0 10.19.0.1:5060 10.19.77.5:5060',
      'UDP NONE 10.19.2.77:0 10.19.0.1:0 10.19.77.6:0',
      'UDP UDP 10.19.2.1:40004 10.19.0.1:53 10.19.77.2:53',
      'UDP UDP 10.19.2.1:40005 10.19.0.1:54 [fd19::77]:54',
      'UDP UDP 10.19.2.1:5060 10.19.0.1:5060 10.19.77.5:5060',
      'UDP UDP 10.19.2.77:40007 10.19.0.7:99 10.19.77.4:99',
      'UDP UDP 10.19.2.77:40009 10.19.0.1:7777 10.19.77.6:7777',
      'UDP UDP [fd19::2:1]:40006 [fd19::1]:53 10.19.77.3:53',
      'UDP UDP [fd19::2:1]:40008 [fd19::7]:99 [fd19::78]:99',
    ])
    expect(rows.filter(row => row.template).map(row => row.virtual)).toHaveLength(5)
    expect(rows.filter(row => row.virtual.fwmark !== undefined)).toEqual(expect.arrayContaining([
      expect.objectContaining({ protocol: 0, virtual: { fwmark: 7 }, template: true }), expect.objectContaining({ virtual: { fwmark: 4294967295 } }),
    ]))
    expect(rows.filter(row => row.engine)).toEqual([expect.objectContaining({ template: true, engine: { name: 'sip', data: '006617d3-e0d8@10.19.2.1' } })])
    for (const { expires, template } of rows) expect(expires).toBeGreaterThan(template ? 280 : 0)
  })

  it.each<[ConnectionFilter, number]>([
    [{ service: { vip: '10.19.0.1', port: 80, protocol: 'tcp' } }, 1],
    [{ service: { vip: '10.19.0.1', port: 90, protocols: ['tcp', 'udp'] } }, 2],
    [{ service: { vip: '10.19.0.1', port: 0, protocols: ['udp'] } }, 6],
    [{ service: { fwmark: 4294967295, family: 'inet6' } }, 1],
    [{ server: '10.19.1.1' }, 3],
    [{ server: { address: '10.19.77.4', port: 99 } }, 1],
    [{ client: '10.19.2.64/26' }, 4],
    [{ client: 'fd19::/64' }, 4],
    [{ state: ['ESTABLISHED', 'ASSURED'] }, 4],
    [{ templates: true, client: '10.19.2.0/24' }, 4],
    [{ origin: 'local' }, 15],
    [{ origin: 'sync' }, 0],
  ])('%j', async (filter, count) => {
    expect(await all(filter)).toHaveLength(count)
  })

  it('have an origin, or data of an engine, as the kernel shows them in two files', async () => {
    const rows = await all({}, { origin: true })
    expect(new Set(rows.map(row => row.origin))).toEqual(new Set(['local']))
    expect(rows.some(row => row.engine)).toBe(false)
    expect(names(rows)).toEqual(names(await all()))
  })

  it('are of SCTP, too, for the few seconds that an association has to be answered', async () => {
    await expect.poll(async () => {
      await connect(['sctp', '10.19.2.1', 40010, '10.19.0.1', 36412])
      return names(await all({ service: { vip: '10.19.0.1', port: 36412, protocol: 'sctp' }, state: 'INIT1' }))
    }, { timeout: 30_000 }).toEqual(['SCTP INIT1 10.19.2.1:40010 10.19.0.1:36412 10.19.77.7:36412'])
  })

  it('are shown to anyone', async () => {
    const script = 'const { connections } = await import("./dist/lib/index.js"); let n = 0; for await (const { client } of connections()) if (/^(10.19|fd19)/.test(client.address) && client.port !== 40010) n++; console.log(n)'
    expect(await child('events', script, {}, asNobody([NODE]))).toMatchObject({ stdout: '15\n' })
  })
})

describe('connections that another director told of', () => {
  it('are of origin sync', async () => {
    const peer = (...words: string[]): string => run('ip', ['netns', 'exec', 'peer', ...words])
    run('ip', ['netns', 'add', 'peer'])
    try {
      run('ip', ['-batch', '-'], ['link add sync0 type veth peer name sync0 netns peer', 'address add 10.78.0.1/24 dev sync0', 'link set sync0 up'].join('\n'))
      run('ip', ['-n', 'peer', '-batch', '-'], ['link set lo up', 'address add 10.78.0.2/24 dev sync0', 'link set sync0 up'].join('\n'))
      peer('ipvsadm', '--start-daemon', 'backup', '--mcast-interface', 'sync0', '--syncid', '1')
      ipvsadm('--start-daemon master --mcast-interface sync0 --syncid 1')
      ipvsadm('-A -t 10.19.0.1:80 -s rr')
      ipvsadm('-a -t 10.19.0.1:80 -r 10.19.1.1:8080 -m')
      run('sysctl', ['-qw', 'net.ipv4.vs.sync_threshold=0 1']) // every packet is told of
      await connect(['tcp', '10.19.2.1', 41001, '10.19.0.1', 80])
      await expect.poll(() => peer('cat', '/proc/net/ip_vs_conn_sync'), { timeout: 30_000, interval: 500 }).toContain('SYNC')
      const script = 'const { connections } = await import("./dist/lib/index.js"); for await (const row of connections({ origin: "sync" })) console.log(JSON.stringify(row))'
      expect(JSON.parse(peer(process.execPath, '--input-type=module', '-e', script))).toMatchObject({
        protocol: 'tcp', client: { address: '10.19.2.1', port: 41001 }, server: { address: '10.19.1.1', port: 8080 }, origin: 'sync', template: false,
      })
      expect((await all({ origin: 'local', client: '10.19.2.1', state: 'ESTABLISHED' })).map(row => row.client.port)).toContain(41001)
    } finally {
      ipvsadm('--stop-daemon master')
      run('ip', ['netns', 'delete', 'peer'])
      run('sysctl', ['-qw', 'net.ipv4.vs.sync_threshold=3 50'])
    }
  })
})

describe('very many connections', () => {
  it('are listed, each once, while they stay the same', async () => {
    const COUNT = 20_000
    ipvsadm('--set 0 0 45') // they shall not outlive this file by much
    ipvsadm('-A -u 10.19.0.1:55 -s rr')
    ipvsadm('-a -u 10.19.0.1:55 -r 10.19.77.2:55 -g')
    ipvsadm('-a -u 10.19.0.1:55 -r 10.19.77.3:55 -g')
    await connect(['many', '10.19.2.1', 1025, '10.19.0.1', 55, 0, String(COUNT)])
    const ports = new Set<number>()
    let rows = 0
    for await (const { client } of connections({ service: { vip: '10.19.0.1', port: 55, protocol: 'udp' } })) {
      rows++
      ports.add(client.port)
    }
    expect([rows, ports.size]).toEqual([COUNT, COUNT])
    expect(await all({ server: { address: '10.19.77.3', port: 55 } })).toHaveLength(COUNT / 2)
  })

  it('need not be read to the end', async () => {
    const open = (): number => run('ls', ['-l', `/proc/${process.pid}/fd`]).split('ip_vs_conn').length - 1
    for await (const row of connections()) {
      expect(row.template).toBe(false)
      expect(open()).toBe(1)
      break
    }
    expect(open()).toBe(0)
    const controller = new AbortController()
    const reason = new Error('enough')
    await expect((async () => {
      for await (const _ of connections({}, { signal: controller.signal })) controller.abort(reason)
    })()).rejects.toBe(reason)
    expect(open()).toBe(0)
  })

  it('are gone when their time is over', async () => {
    ipvsadm('--set 0 0 300')
    await expect.poll(() => procLines('ip_vs_conn').length, { timeout: 120_000, interval: 2000 }).toBeLessThan(1000)
  })
})

describe('a kernel without IPVS', () => {
  it('is told of', () => {
    const script = 'const { connections } = await import("./dist/lib/index.js"); await connections().next().catch(e => console.log(e.code, e.message))'
    // Nothing below /proc/net stands for a kernel that has not loaded the module.
    expect(run('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs none /proc/$$/net && exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script]))
      .toMatch(/^ENOENT cannot read \/proc\/net\/ip_vs_conn: the kernel's module ip_vs is not loaded/)
  })
})
