/**
 * The shortest decimal number that is the given 32-bit float: 0.00001 for 0.000009999999747378752. Attributes are
 * written by people as decimals and stored as float32; this gives the decimal back, and `Math.fround` the exact value.
 */
export function shortestFloat32(value: number): number {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value
  for (let digits = 6; digits <= 9; digits++) {
    const candidate = Number(value.toPrecision(digits))
    if (Math.fround(candidate) === value) return candidate
  }
  return value
}
