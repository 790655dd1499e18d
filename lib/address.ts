/** Addresses as text. */

/** Address families: IPv4 and IPv6. */
export type Family = 'inet' | 'inet6'

/** The family of an address in its text form. */
export const familyOf = (address: string): Family => address.includes(':') ? 'inet6' : 'inet'

/** `192.168.50.100:53` or `[2001:db8::53]:53`. */
export const endpoint = (address: string, port: number): string => address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
