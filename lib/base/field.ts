/** Objects as sets of fields: one declaration gives checks, defaults, wire, words, differences. */

import { isDeepStrictEqual } from 'node:util'
import { checkObject, refusalAt, SpecError, type Check } from './check.js'

export { among, inRange, type Check } from './check.js'

/** An object while it is checked, compared or written: values by field. */
export type Values = Readonly<Record<string, unknown>>

/** A field. `W` is the wire's object, `C` the context of reading and writing: names of links. */
export interface Field<W, C = unknown> {
  /**
   * The value where a spec leaves the field out, or a function of the spec that gives it;
   * `undefined` is none. A field without this property stays as it is.
   */
  readonly otherwise?: unknown
  /** Returns the value in its normal form. @throws SpecError naming the path */
  check(path: string, value: unknown): unknown
  /** Writes a value; `undefined` too, where a spec asks for none. */
  write(to: W, value: unknown, context: C): void
  /** Reads the value; undefined where there is none. */
  read(from: W, context: C): unknown
  /** Returns the words of an operator's command for the value; `''` where no words are needed. */
  words?(value: unknown, object: Values): string
  /** Whether the words are printed for the default too, because the command has another default. */
  readonly explicit?: boolean
  /** Whether the actual value is the wanted one. @defaultValue equality of values */
  same?(wanted: unknown, actual: unknown): boolean
  /** Why an object like this has no such field; undefined where it has. */
  absent?(object: Values): string | undefined
}

/** The keys of every member of a union. */
type KeyOf<T> = T extends unknown ? keyof T & string : never

/** A field for each key of a spec. */
export type FieldsOf<Spec, W, C = unknown> = { readonly [K in KeyOf<Spec>]: Field<W, C> }

/** No field for other keys. */
export type Exactly<F, Spec> = { readonly [K in Exclude<keyof F, KeyOf<Spec>>]: never }

/** What a declaration says besides the fields. */
export interface FieldSetOptions {
  /** Fields of the same object that another set declares. */
  readonly others?: readonly string[]
  /** Fields that only states have. A spec that was a state may have them; they are ignored. */
  readonly stateOnly?: readonly string[]
  /** Refuses combinations of fields. @throws SpecError naming the field */
  verify?(object: Values): void
}

const NONE: readonly string[] = []

/** The fields of one kind of object, in the order of checks, attributes and words. */
export class FieldSet<Spec extends object, W, C = unknown> {
  /** The kind of object, for refusals of a whole one: `address`. */
  readonly noun: string
  readonly names: readonly KeyOf<Spec>[]
  readonly #fields: readonly Field<W, C>[]
  readonly #options: FieldSetOptions
  readonly #known: ReadonlySet<string>
  /** The known fields that a spec sets. */
  readonly #settable: readonly string[]
  /** Whether some objects lack some fields. */
  readonly #conditional: boolean

  /** Use {@link fieldSet}, which checks the fields against the spec. */
  constructor(noun: string, fields: Readonly<Record<string, Field<W, C>>>, options: FieldSetOptions = {}) {
    this.noun = noun
    this.names = Object.keys(fields) as KeyOf<Spec>[]
    this.#fields = Object.values(fields)
    this.#options = options
    this.#settable = [...options.others ?? [], ...this.names]
    this.#known = new Set([...this.#settable, ...options.stateOnly ?? []])
    this.#conditional = this.#fields.some(field => field.absent !== undefined)
  }

  /** Whether a spec can have this field. */
  has(name: string): name is KeyOf<Spec> { return (this.names as readonly string[]).includes(name) }

  /** An object without unknown fields. @throws SpecError naming the path */
  checkNames(given: unknown, path = ''): Values {
    return checkObject(path || this.noun, given, this.#known, this.#settable)
  }

  /** A whole object in its normal form, with defaults. @throws naming the field below `path` */
  normalize(given: unknown, path = ''): Spec { return this.#normal(this.checkNames(given, path), path, true) as Spec }

  /** The given fields in their normal form. @throws as {@link FieldSet.normalize} */
  normalizePart(given: unknown, path = ''): Partial<Spec> {
    return this.#normal(this.checkNames(given, path), path, false)
  }

  /** The given fields, whatever others the object has. @throws as {@link FieldSet.normalize} */
  pick(given: Values, path = ''): Partial<Spec> { return this.#normal(given, path, false) }

  /** The object with the default for each field that it lacks. */
  complete(part: object): Partial<Spec> {
    const whole: Record<string, unknown> = {}
    this.names.forEach((name, i) => {
      const field = this.#fields[i]!
      if (name in part) whole[name] = (part as Values)[name]
      else if ('otherwise' in field && field.absent?.(part as Values) === undefined) {
        whole[name] = defaultOf(field, part as Values)
      }
    })
    return whole as Partial<Spec>
  }

  /** Refuses combinations of fields. @throws SpecError naming the field below `path` */
  verify(object: object, path = ''): void {
    const values = object as Values
    const fields = this.#fields
    try {
      for (let i = 0; i < fields.length; i++) {
        const name = this.names[i]!
        const why = values[name] === undefined ? undefined : fields[i]!.absent?.(values)
        if (why !== undefined) throw new SpecError(name, why)
      }
      this.#options.verify?.(values)
    } catch (error) { throw refusalAt(path, error) }
  }

  #normal(given: Values, path: string, whole: boolean): object {
    const normal: Record<string, unknown> = {}
    const { names } = this
    const fields = this.#fields
    try {
      for (let i = 0; i < fields.length; i++) {
        const field = fields[i]!, name = names[i]!, value = given[name]
        if (value !== undefined) normal[name] = field.check(name, value)
        else if (whole && 'otherwise' in field && field.absent?.(given) === undefined) {
          normal[name] = defaultOf(field, given)
        }
      }
    } catch (error) { throw refusalAt(path, error) }
    if (whole) this.verify(normal, path)
    return normal
  }

  /** Writes the fields that an object has, or only the named ones. Returns `to`. */
  write(to: W, object: object, context: C, only?: readonly string[]): W {
    const { names } = this
    const fields = this.#fields
    for (let i = 0; i < fields.length; i++) {
      const name = names[i]!
      if (name in object && (only === undefined || only.includes(name))) {
        fields[i]!.write(to, (object as Values)[name], context)
      }
    }
    return to
  }

  /** Reads all fields; those with no value are left out. */
  read(from: W, context: C): Partial<Spec> {
    const object: Record<string, unknown> = {}
    const { names } = this
    const fields = this.#fields
    for (let i = 0; i < fields.length; i++) {
      const value = fields[i]!.read(from, context)
      if (value !== undefined) object[names[i]!] = value
    }
    if (!this.#conditional) return object as Partial<Spec>
    const exists = (name: string): boolean => fields[names.indexOf(name as KeyOf<Spec>)]!.absent?.(object) === undefined
    return Object.fromEntries(Object.entries(object).filter(([name]) => exists(name))) as Partial<Spec>
  }

  /** The names of the fields that are wanted and differ. */
  differences(wanted: object, actual: object): readonly string[] {
    let changed: string[] | undefined
    const { names } = this
    const fields = this.#fields
    for (let i = 0; i < fields.length; i++) {
      const name = names[i]!
      if (!(name in wanted)) continue
      const a = (wanted as Values)[name], b = (actual as Values)[name]
      if (a !== b && !(fields[i]!.same ?? isDeepStrictEqual)(a, b)) (changed ??= []).push(name)
    }
    return changed ?? NONE
  }

  /** The operator's words for the named fields, or for those that differ from their defaults. */
  words(object: object, only?: readonly string[]): string {
    const values = object as Values
    return this.names.map((name, i) => {
      const field = this.#fields[i]!
      if (!(name in object) || !field.words) return ''
      const said = only?.includes(name)
        ?? (field.explicit === true || !isDeepStrictEqual(values[name], defaultOf(field, values)))
      return said ? field.words(values[name], values) : ''
    }).filter(Boolean).join(' ')
  }

  /** The fields that an object has, without others. */
  existing(object: object): Partial<Spec> {
    const values = object as Values
    return Object.fromEntries(
      this.names.filter(name => values[name] !== undefined).map(name => [name, values[name]]),
    ) as Partial<Spec>
  }

  /** The part of a state that a spec can have; undefined fields of which that is the default. */
  settable(state: object): Spec {
    const values = state as Values
    const exists = (name: string, i: number): boolean => {
      const field = this.#fields[i]!
      return values[name] !== undefined
        || ('otherwise' in field && field.otherwise === undefined && field.absent?.(values) === undefined)
    }
    return Object.fromEntries(this.names.filter(exists).map(name => [name, values[name]])) as Spec
  }
}

const defaultOf = ({ otherwise }: Field<never, never>, object: Values): unknown =>
  typeof otherwise === 'function' ? (otherwise as (object: Values) => unknown)(object) : otherwise

/**
 * Declares a kind of object by its fields: a field for each key of `Spec`,
 * and no other, or it does not compile.
 *
 * @example
 * ```ts
 * const ports = fieldSet<PortSpec, PortAttributes>()('port', {
 *   port:   { check: (path, value) => integer(path, value, 1, 65535), write: …, read: … },
 *   family: { otherwise: 'inet', check: …, write: …, read: … },
 * })
 * ```
 */
export const fieldSet = <Spec extends object, W, C = unknown>() =>
  <F extends FieldsOf<Spec, W, C>>(
    noun: string, fields: F & Exactly<F, Spec>, options?: FieldSetOptions,
  ): FieldSet<Spec, W, C> => new FieldSet(noun, fields, options)

// ── fields of one attribute ──

/** Properties of a field that differ from the plain ones; `word` stands before the value. */
export type Variant<W, C = unknown> = Partial<Field<W, C>> & { readonly word?: string }

/** The words of a value: the value behind a word. */
export const after = (word: string) => (value: unknown): string => `${word} ${String(value)}`

/** The properties of an object that are not undefined. */
export const defined = <T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T

/** The attribute of this name. */
export type With<K extends string, V> = { [P in K]?: V }

/** A field that is one attribute of the wire's object. */
export const attribute = <K extends string, V, C = unknown>(
  key: K, check: Check<V>, { word, ...variant }: Variant<With<K, V>, C> = {},
): Field<With<K, V>, C> => ({
  check,
  write(to, value) { if (value !== undefined) to[key] = value as V },
  read: from => from[key],
  ...word !== undefined && { words: after(word) },
  ...variant,
})
