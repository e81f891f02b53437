/**
 * A function that hands every name back, the second and later uses of one with `#2`, `#3` ... behind it: names of
 * tensors and nodes must be unique, and files do not always keep to that. Costs O(1) per name on average.
 */
export function uniqueNames(): (name: string) => string {
  const used = new Set<string>()
  const nextCopy = new Map<string, number>()
  return (name) => {
    let unique = name
    for (let copy = nextCopy.get(name) ?? 2; used.has(unique); copy++) {
      unique = `${name}#${copy}`
      nextCopy.set(name, copy + 1)
    }
    used.add(unique)
    return unique
  }
}
