/** `25.6 M`, `1.2 k`, `17`: three significant digits with a decimal prefix. */
export function formatCount(count: number): string {
  const [value, prefix] = scale(count, 1000, ['', ' k', ' M', ' G', ' T'])
  return `${value}${prefix}`
}

/** `97.8 MB`: decimal, as file managers and download pages count. */
export function formatBytes(bytes: number): string {
  const [value, prefix] = scale(bytes, 1000, [' B', ' kB', ' MB', ' GB', ' TB'])
  return `${value}${prefix}`
}

function scale(amount: number, step: number, prefixes: readonly string[]): [string, string] {
  let value = amount
  let index = 0
  // 999.6 k reads as 1 M
  while (Number(value.toPrecision(3)) >= step && index < prefixes.length - 1) {
    value /= step
    index++
  }
  return [index === 0 ? String(amount) : String(Number(value.toPrecision(3))), prefixes[index]!]
}

/** `1 x 3 x 224 x 224`; `?` for an unknown size, `scalar` for none. */
export function formatShape(shape: readonly (number | string | null)[]): string {
  return shape.length === 0 ? 'scalar' : shape.map((size) => size ?? '?').join(' x ')
}
