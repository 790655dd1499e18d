/** Names of hosts and ports, from where this machine has them: /etc/hosts, DNS, /etc/services. */

import { lookup, lookupService } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'

/** Transport protocols that have ports of their own names. */
export type Transport = 'tcp' | 'udp' | 'sctp'

/** What knows names. */
export interface Names {
  /** The IPv4 address of a host, if it has one. */
  addressOf(host: string): Promise<string | undefined>
  /** The name of a host, if it has one. */
  hostOf(address: string): Promise<string | undefined>
  portOf(service: string, protocol: Transport): number | undefined
  serviceOf(port: number, protocol: Transport): string | undefined
}

/** Names of ports, from text as in /etc/services: `http 80/tcp www # …`. The first match counts. */
export function services(text: string): Pick<Names, 'portOf' | 'serviceOf'> {
  const ports = new Map<string, number>(), named = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [name = '', at = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    const [, port, protocol] = /^(\d+)\/(\w+)$/.exec(at) ?? []
    if (port === undefined) continue
    if (!named.has(`${Number(port)}/${protocol}`)) named.set(`${Number(port)}/${protocol}`, name)
    for (const each of [name, ...aliases]) {
      if (!ports.has(`${each}/${protocol}`)) ports.set(`${each}/${protocol}`, Number(port))
    }
  }
  return {
    portOf: (service, protocol) => ports.get(`${service}/${protocol}`),
    serviceOf: (port, protocol) => named.get(`${port}/${protocol}`),
  }
}

/** This machine's names. */
export function systemNames(): Names {
  const hosts = new Map<string, Promise<string | undefined>>()
  let known: ReturnType<typeof services> | undefined
  const ports = (): ReturnType<typeof services> => known ??= services(read('/etc/services'))
  return {
    // A lookup ends in an error where there is no address or name;
    // an IPv6 address is its own name, whatever the family.
    addressOf: async host => {
      if (isIPv6(host) || host === '') return undefined
      return (await lookup(host, { family: 4 }).catch(() => undefined))?.address
    },
    hostOf: address => {
      const host = hosts.get(address) ?? lookupService(address, 0).then(({ hostname }) => hostname, () => undefined)
      hosts.set(address, host)
      return host
    },
    portOf: (service, protocol) => ports().portOf(service, protocol),
    serviceOf: (port, protocol) => ports().serviceOf(port, protocol),
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
