/** Addresses as text. */

/** Address families: IPv4 and IPv6. */
export type Family = 'inet' | 'inet6'

/** The family of an address in its text form. */
export const familyOf = (address: string): Family => address.includes(':') ? 'inet6' : 'inet'

/** `192.168.50.100:53` or `[2001:db8::53]:53`. */
export const endpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

/** Whether an address is that of a group: 224.0.0.0/4 or ff00::/8. In its correct form. */
export const isMulticast = (address: string): boolean => /^(22[4-9]|23\d)\.|^ff..:/.test(address)
