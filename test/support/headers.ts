/** The kernel's own header files (Debian's linux-libc-dev): the source of truth for numbers. */

import { readFileSync } from 'node:fs'

/** The constants of a header: enumerators, and macros with a value that is a number. @throws where the file is missing */
export function header(name: string): ReadonlyMap<string, number> {
  const text = readFileSync(`/usr/include/linux/${name}`, 'utf8').replace(/\\\n/g, ' ').replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/\/\/.*$/gm, '')
  const constants = new Map<string, number>()
  const valueOf = (expression: string): number => {
    const [, left, right] = /^\(*([\w ]+)<<([\w ]+)\)*$/.exec(expression.trim()) ?? []
    if (left !== undefined) return valueOf(left) << valueOf(right!)
    const word = expression.trim().replace(/^\(([^()]*)\)$/, '$1').trim()
    return constants.get(word) ?? (/^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : NaN)
  }
  for (const [, macro, value, body] of text.matchAll(/^#\s*define\s+(\w+)[ \t]+(\S.*)$|\benum\s*\w*\s*\{([^}]*)\}/gm)) {
    if (macro !== undefined) {
      const n = valueOf(value!)
      if (!Number.isNaN(n)) constants.set(macro, n)
    } else {
      let next = 0
      for (const item of body!.replace(/^#.*$/gm, '').split(',').map(s => s.trim()).filter(Boolean)) {
        const [name, explicit] = item.split('=').map(s => s.trim())
        if (explicit !== undefined) next = valueOf(explicit)
        constants.set(name!, next++)
      }
    }
  }
  return constants
}
