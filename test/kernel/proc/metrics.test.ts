import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Director, formatMetrics, parseRules, perCpuStatistics, ipvsTotals } from '../../../lib/index.js'
import { openMetricsSamples, promtool } from '../../support/promtool.js'
import { ipvsadm, loadIPv6, run } from '../../support/run.js'

/** Services of every kind: each protocol, family and way of forwarding, marks of the same number in both families. */
const RULES = `
-A -t 10.9.0.1:80 -s wrr
-a -t 10.9.0.1:80 -r 10.9.1.1:8080 -m -w 3
-a -t 10.9.0.1:80 -r 10.9.1.2:80 -g -w 0
-A -u 10.9.0.1:53 -s mh -b mh-fallback,mh-port
-a -u 10.9.0.1:53 -r 10.9.1.1:53 -i -w 1
-a -u 10.9.0.1:53 -r 10.9.1.2:53 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -u 10.9.0.1:53 -r [fd09::1:3]:53 -i -w 1 --tun-type gre
-A -u 10.9.0.1:5060 -s rr -p 90 -M 255.255.255.0 --pe sip
-A --sctp-service 10.9.0.1:36412 -s lc
-A -t [fd09::1]:80 -s sh -p 60 -M 64
-a -t [fd09::1]:80 -r [fd09::1:1]:80 -g -w 1
-A -u 10.9.0.1:123 -s rr --ops
-A -f 7 -s rr
-a -f 7 -r 10.9.1.1:0 -g -w 1
-A -f 7 -6 -s wlc
-a -f 7 -6 -r [fd09::1:1]:0 -g -w 2
-A -f 4294967295 -s rr
`.trim().split('\n')

const director = await Director.open()
beforeAll(async () => {
  loadIPv6()
  await director.flush()
  run('ip', ['-batch', '-'], ['link add prom0 type dummy', 'link set prom0 up', 'address add 10.9.0.1/16 dev prom0', 'address add fd09::1/64 dev prom0 nodad'].join('\n'))
  for (const rule of RULES) ipvsadm(rule)
  const socket = createSocket('udp4')
  for (let i = 0; i < 3; i++) await new Promise((resolve, reject) => { socket.send('question', 53, '10.9.0.1', error => error ? reject(error) : resolve(undefined)) })
  socket.close()
  // Counters are summed up every two seconds.
  await vi.waitFor(async () => expect((await director.get({ vip: '10.9.0.1', port: 53, protocol: 'udp' }))[0]!.stats.packetsIn).toBe(3n), { timeout: 20_000 })
})
afterAll(async () => {
  await director.flush()
  await director.close()
  run('ip', ['link', 'delete', 'prom0'])
})

const samplesOf = (text: string): string[] => text.split('\n').filter(line => line !== '' && !line.startsWith('#'))

describe('metrics of services of every kind', () => {
  it('are taken by Prometheus in both formats, with the same samples', async () => {
    expect(parseRules(RULES.join('\n'))).toHaveLength(9)
    const metrics = { services: await director.list(), totals: await ipvsTotals(), cpus: await perCpuStatistics() }
    const [openmetrics, prometheus] = [formatMetrics(metrics), formatMetrics(metrics, { format: 'prometheus' })]
    expect(promtool(prometheus)).toEqual({ status: 0, output: '' })
    expect(openMetricsSamples(openmetrics)).toBe(samplesOf(openmetrics).length)
    expect(samplesOf(openmetrics)).toEqual(samplesOf(prometheus))
    // This is why there are two.
    expect(promtool(openmetrics).output).toMatch(/unknown metric type "info"/)
    expect(() => openMetricsSamples(prometheus)).toThrow('promtool does not take this OpenMetrics')
  })

  it('tell all services and real servers apart, and what each has', async () => {
    const text = formatMetrics({ services: await director.list() })
    const infos = samplesOf(text).filter(line => line.includes('_info{')).sort()
    expect(infos.filter(line => line.startsWith('ipvs_service'))).toHaveLength(9)
    expect(infos.filter(line => line.startsWith('ipvs_real_server'))).toHaveLength(8)
    expect(samplesOf(text)).toEqual(expect.arrayContaining([
      'ipvs_service_info{protocol="udp",vip="10.9.0.1",port="53",family="inet",scheduler="mh",scheduler_flags="mh-fallback,mh-port"} 1',
      'ipvs_service_info{protocol="udp",vip="10.9.0.1",port="5060",family="inet",scheduler="rr",persistence_netmask="255.255.255.0",persistence_engine="sip"} 1',
      'ipvs_service_info{protocol="udp",vip="10.9.0.1",port="123",family="inet",scheduler="rr",one_packet="true"} 1',
      'ipvs_service_info{protocol="sctp",vip="10.9.0.1",port="36412",family="inet",scheduler="lc"} 1',
      'ipvs_service_info{fwmark="7",family="inet",scheduler="rr"} 1',
      'ipvs_service_info{fwmark="7",family="inet6",scheduler="wlc"} 1',
      'ipvs_service_persistence_timeout_seconds{protocol="tcp",vip="fd09::1",port="80",family="inet6"} 60',
      'ipvs_service_real_servers{fwmark="4294967295",family="inet"} 0',
      'ipvs_service_incoming_packets_total{protocol="udp",vip="10.9.0.1",port="53",family="inet"} 3',
      `ipvs_service_incoming_bytes_total{protocol="udp",vip="10.9.0.1",port="53",family="inet"} ${3 * (28 + 8)}`,
      'ipvs_real_server_weight{fwmark="7",family="inet6",server="fd09::1:1",server_port="0"} 2',
      'ipvs_real_server_weight{protocol="tcp",vip="10.9.0.1",port="80",family="inet",server="10.9.1.2",server_port="80"} 0',
      'ipvs_real_server_info{protocol="tcp",vip="10.9.0.1",port="80",family="inet",server="10.9.1.1",server_port="8080",forward="masq"} 1',
      'ipvs_real_server_info{protocol="udp",vip="10.9.0.1",port="53",family="inet",server="10.9.1.1",server_port="53",forward="tunnel",tunnel="ipip"} 1',
      'ipvs_real_server_info{protocol="udp",vip="10.9.0.1",port="53",family="inet",server="10.9.1.2",server_port="53",'
      + 'forward="tunnel",tunnel="gue",tunnel_port="6080",tunnel_checksum="csum"} 1',
      'ipvs_real_server_info{protocol="udp",vip="10.9.0.1",port="53",family="inet",server="fd09::1:3",server_port="53",forward="tunnel",tunnel="gre"} 1',
    ]))
  })
})

describe('the example', () => {
  const example = fileURLToPath(new URL('../../../dist/examples/metrics.js', import.meta.url))

  it.each(['SIGTERM', 'SIGINT'] as const)('serves them over HTTP, in the format that the client understands, until %s', async signal => {
    const child = spawn(process.execPath, [example, '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    const [said] = await once(lines, 'line') as [string]
    const url = said.replace('metrics at ', '')
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    const get = async (accept?: string, method = 'GET') => {
      const response = await fetch(url, { method, headers: accept === undefined ? {} : { accept } })
      return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
    }
    // As Prometheus 2.42 asks, and as curl does.
    const open = await get('application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1')
    expect(open).toMatchObject({ status: 200, type: 'application/openmetrics-text; version=1.0.0; charset=utf-8' })
    expect(open.body).toMatch(/\n# EOF\n$/)
    const plain = await get('*/*')
    expect(plain).toMatchObject({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' })
    if (signal === 'SIGTERM') expect(promtool(plain.body)).toEqual({ status: 0, output: '' }) // once will do: it is slow here
    expect(samplesOf(plain.body).filter(line => line.startsWith('ipvs_service_info{'))).toHaveLength(9)
    expect(await get('*/*', 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(await get('*/*', 'POST')).toMatchObject({ status: 405 })
    expect((await fetch(new URL('/', url))).status).toBe(404)

    const ended = once(child, 'exit')
    child.kill(signal)
    expect(await ended).toEqual([0, null])
  })

  it('says where it cannot listen', async () => {
    const child = spawn(process.execPath, [example, 'nowhere'], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (data: Buffer) => { said += data.toString() })
    expect(await once(child, 'close')).toEqual([2, null])
    expect(said).toBe('where to listen: [ADDRESS:]PORT\n')
  })
})
