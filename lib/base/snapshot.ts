/**
 * A copy of plain data: what its owner changes later does not reach it. Objects of a class are not
 * copied.
 */
export function snapshot<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(snapshot) as T
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  const copy = { ...value }
  for (const key in copy) if (typeof copy[key] === 'object') copy[key] = snapshot(copy[key])
  return copy
}
