/**
 * The refusal of a caller's input.
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
