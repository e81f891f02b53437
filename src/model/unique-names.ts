/**
 * A function that gives each name back, and the second, third ... of the same name as `name#2`, `name#3`. Keys that
 * differ in the file can give the same text (`1` and `'1'`); tensor names must not.
 */
export function uniqueNames(): (name: string) => string {
  const counts = new Map<string, number>()
  return (name) => {
    let free = name
    while (counts.has(free)) {
      const count = counts.get(name)! + 1
      counts.set(name, count)
      free = `${name}#${count}`
    }
    counts.set(free, 1)
    return free
  }
}
