/**
 * Checks of a caller's input, field by field: each refusal names the path of the field.
 *
 * A path has no dot at its end: `''`, `links[0]`, `links[0].mtu`.
 * {@link atPath} joins the next part to it.
 *
 * @module
 */

/** The path of a field, or of an element, of the object at `path`. */
export const atPath = (path: string, key: string | number): string =>
  typeof key === 'number' ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`

/**
 * The refusal of a spec, an id, a filter or an option, before anything is sent. Checks alone throw
 * it; an error of a caller's own getter or callback passes through as it is.
 */
export class SpecError extends RangeError {
  static { this.prototype.name = 'SpecError' }
  /** The refused field: `services[3].realServers[0].weight`; `''` is the whole input. */
  readonly path: string
  /** What was given, why it is refused, what to give instead. */
  readonly why: string

  constructor(path: string, why: string) {
    super(path === '' ? why : `${path}: ${why}`)
    this.path = path
    this.why = why
  }

  /** The same refusal, of a part of the object at `path`. */
  within(path: string): SpecError {
    const whole = this.path === '' || this.path.startsWith('[') ? path + this.path : atPath(path, this.path)
    return new SpecError(whole, this.why)
  }
}

// ── plain values ──

/** Returns a value in its normal form. @throws SpecError naming the path */
export type Check<T = unknown> = (path: string, value: unknown) => T

/** A value, for a message. */
export const show = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n`
    : typeof value === 'function' ? 'a function'
      : typeof value !== 'object' || value === null ? String(value)
        : Array.isArray(value) ? 'an array' : value instanceof Promise ? 'a Promise' : 'an object'

/** The refusal of a value. */
export const invalid = (path: string, value: unknown, wanted: string): SpecError =>
  new SpecError(path, `${show(value)} is not ${wanted}`)

/** An integer of a range. @throws SpecError naming the path */
export function integer(path: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(path, value, `an integer from ${min} to ${max}`)
  }
  return value as number
}

/** Text. @throws SpecError naming the path */
export function text(path: string, value: unknown): string {
  if (typeof value !== 'string') throw invalid(path, value, 'text')
  return value
}

/** True or false. @throws SpecError naming the path */
export function boolean(path: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new SpecError(path, `${show(value)} is not true or false`)
  return value
}

/** One of some words. @throws SpecError naming the path */
export function oneOf<const T extends string>(path: string, value: unknown, words: readonly T[]): T {
  if (!words.includes(value as T)) throw invalid(path, value, `one of ${words.join(', ')}`)
  return value as T
}

/** An object, whatever its fields. @throws SpecError naming the path */
export function anyObject<T = Record<string, unknown>>(path: string, value: T): T & object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, value, 'an object')
  return value
}

/** An object of these fields alone; errors name some of them. @throws SpecError naming the path */
export function checkObject(
  path: string, value: unknown, fields: ReadonlySet<string>, named: Iterable<string> = fields,
): Record<string, unknown> {
  const object = anyObject(path, value)
  for (const key in object) {
    if (fields.has(key)) continue
    throw new SpecError(path, `there is no field ${JSON.stringify(key)}; there are ${[...named].join(', ')}`)
  }
  return object as Record<string, unknown>
}

/** An array. @throws SpecError naming the path */
export function checkList(path: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(path, value, 'a list')
  return value
}

/** The check of an integer of a range. */
export const inRange = (min: number, max: number): Check<number> => (path, value) => integer(path, value, min, max)

/** The check of one of some words. */
export const among = <const T extends string>(words: readonly T[]): Check<T> => (path, value) =>
  oneOf(path, value, words)

/** A function of the caller. @throws SpecError naming the path */
export function callback(path: string, value: unknown): (...given: unknown[]) => never {
  if (typeof value !== 'function') throw invalid(path, value, 'a function')
  return value as () => never
}

/** An AbortSignal. @throws SpecError naming the path */
export function abortSignal(path: string, value: unknown): AbortSignal {
  if (!(value instanceof AbortSignal)) throw invalid(path, value, 'an AbortSignal')
  return value
}

// ── options ──

/** A check for each option, and for nothing else. */
export type OptionChecks<O> = { readonly [K in keyof O]-?: Check<Exclude<O[K], undefined>> }

/** The check of an options object. @throws SpecError naming the option */
export type Checked<O> = (given: O | undefined, path?: string) => O

const NONE = Object.freeze({})

/**
 * Declares the options of a verb, or an object like them. Returns their check, which reads each
 * option once and leaves out those that are undefined; refusals name `path`, or the `noun`.
 *
 * @example
 * ```ts
 * const lampOptions = optionsOf<LampOptions>({ signal: abortSignal, color: among(WORDS) })
 * const { signal, color = 'red' } = lampOptions(given)
 * ```
 */
export function optionsOf<O extends object>(checks: OptionChecks<O>, noun = 'options'): Checked<O> {
  const table = Object.entries(checks) as [name: string, check: Check][]
  const known = new Set(Object.keys(checks))
  return (given, path = '') => {
    if (given === undefined) return NONE as O
    const values = checkObject(path || noun, given, known)
    const options: Record<string, unknown> = {}
    for (const [name, check] of table) {
      const value = values[name]
      if (value !== undefined) options[name] = check(atPath(path, name), value)
    }
    return options as O
  }
}
