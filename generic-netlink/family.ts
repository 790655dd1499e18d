/** Generic netlink families: commands declared as a table. */

import type { AttributeSet, Table } from './attributes.js'
import type { Infer } from './codec.js'

/** A row of a family: the command's number, and the attributes of its request and reply. */
export type CommandRow = readonly [number: number, request: AttributeSet<Table>, reply?: AttributeSet<Table>]

/** Commands by name. The names are the kernel's, in camelCase. */
export type CommandTable = Readonly<Record<string, CommandRow>>

/** A declared family. */
export interface FamilyDeclaration<C extends CommandTable> {
  readonly name: string
  readonly version: number
  readonly commands: C
}

/** Declares a family. */
export function family<const C extends CommandTable>(name: string, version: number, commands: C): FamilyDeclaration<C> {
  return { name, version, commands }
}

/** The attributes of a command's request. */
export type Attributes<R extends CommandRow> = Infer<R[1]>

/** The attributes of a command's reply; undefined where its row has no reply. */
export type Reply<R extends CommandRow> =
  R extends readonly [number, AttributeSet<Table>, infer S] ? Infer<S> : undefined

/** A command of a batch: its name, its attributes, and the object for errors. */
export type Command<C extends CommandTable> = {
  [K in keyof C & string]: readonly [name: K, attributes: Attributes<C[K]>, object?: string]
}[keyof C & string]
