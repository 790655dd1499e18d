import { describe, expect, it } from 'vitest'
import { NetlinkError } from '../../../../generic-netlink/index.js'
import { explained } from '../../../../lib/ipvs/explain.js'

const service = { af: 'inet6', protocol: 'udp', addr: '2001:db8::53', port: 53, schedName: 'xyz' } as const

const ERRNOS = { ENOENT: -2, ESRCH: -3, EIO: -5, EEXIST: -17 }

describe('explained', () => {
  it.each([
    ['newService', 'ENOENT', { service }, 'cannot add virtual service udp [2001:db8::53]:53: the kernel has no scheduler "xyz" (module ip_vs_xyz) (ENOENT)'],
    ['newDest', 'EEXIST', { service, dest: { addrFamily: 'inet', addr: '192.0.2.1', port: 53 } }, 'cannot add real server 192.0.2.1:53 of virtual service udp [2001:db8::53]:53: it is there already; change it instead (EEXIST)'],
    ['delDest', 'ENOENT', { service, dest: { addrFamily: 'inet', addr: '192.0.2.1', port: 53 } }, 'cannot remove real server 192.0.2.1:53 of virtual service udp [2001:db8::53]:53: it is not among the service\'s real servers (ENOENT)'],
    ['getDest', 'ESRCH', { service }, 'cannot list real servers of virtual service udp [2001:db8::53]:53: there is no such virtual service; add it first (ESRCH)'],
    ['delService', 'ESRCH', { service: { af: 'inet6', fwmark: 7 } }, 'cannot remove virtual service fwmark 7 inet6: it is not there (ESRCH)'],
    ['zero', 'ESRCH', { service }, 'cannot zero virtual service udp [2001:db8::53]:53: it is not there (ESRCH)'],
    ['newDaemon', 'EEXIST', { daemon: { state: 'master', mcastIfn: 'eth0' } }, 'cannot start master sync daemon on eth0: one runs already; stop it first (EEXIST)'],
    ['getFamily', 'ENOENT', {}, 'cannot use IPVS: the kernel has no module ip_vs, or could not load it (modprobe ip_vs says why) (ENOENT)'],
    ['getService', 'EIO', {}, 'cannot read virtual services: EIO'],
    ['flush', 'EIO', {}, 'cannot flush the IPVS table: EIO'],
  ] as const)('%s %s', (command, code, sent, sentence) => {
    expect(explained(new NetlinkError(ERRNOS[code], `IPVS ${command}`), command, sent)).toMatchObject({ code, message: sentence })
  })
})

describe('the error', () => {
  it('keeps code, errno and request, and names the object', () => {
    const error = new NetlinkError(-17, 'IPVS newService')
    expect(explained(error, 'newService', { service })).toMatchObject({ code: 'EEXIST', errno: -17, request: 'IPVS newService', object: 'virtual service udp [2001:db8::53]:53', cause: error })
  })
  it('leaves the connection\'s own words', () => {
    expect(explained(new NetlinkError(-125, 'IPVS flush', { message: 'the connection was closed' }), 'flush', {})).toMatchObject({ code: 'ECANCELED', message: 'the connection was closed' })
  })
  it('leaves what is no error of the kernel', () => {
    const reason = { any: 'thing' }
    expect(explained(reason, 'flush', {})).toBe(reason)
  })
})
