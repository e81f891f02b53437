/** A size per axis, null for an unknown one; undefined where even the rank is unknown. */
export type Shape = readonly (number | null)[] | undefined

/** Number of elements, where every size is known. */
export function countShape(shape: Shape): number | undefined {
  let product = 1
  for (const size of shape ?? [null]) {
    if (size === null) return undefined
    product *= size
  }
  return product
}

/** `axis` counted from the front; undefined outside the rank. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis
  return positive >= 0 && positive < rank ? positive : undefined
}

/** Shape of an element-wise operation by numpy's rules; undefined where one side is unknown or they do not fit. */
export function broadcastShapes(shapes: readonly Shape[]): Shape {
  let result: (number | null)[] = []
  for (const shape of shapes) {
    if (shape === undefined) return undefined
    const rank = Math.max(result.length, shape.length)
    const wide: (number | null)[] = []
    for (let i = 0; i < rank; i++) {
      const left = result[result.length - rank + i] ?? (i < rank - result.length ? 1 : null)
      const right = shape[shape.length - rank + i] ?? (i < rank - shape.length ? 1 : null)
      if (left === 1) wide.push(right)
      else if (right === 1 || right === null || left === right) wide.push(left)
      else if (left === null) wide.push(right)
      else return undefined
    }
    result = wide
  }
  return result
}

/**
 * Target shape of a reshape: 0 keeps the input's size at that place (where `zeroKeeps`), -1 takes what is left.
 */
export function reshapeTo(input: Shape, target: readonly (number | null)[], zeroKeeps: boolean): Shape {
  const result = target.map((size, i) => (size === 0 && zeroKeeps ? (input?.[i] ?? null) : size))
  const open = result.indexOf(-1)
  if (open < 0) return result
  const total = countShape(input)
  const rest = countShape(result.map((size, i) => (i === open ? 1 : size)))
  const left = total !== undefined && rest !== undefined && rest > 0 ? total / rest : Number.NaN
  result[open] = Number.isInteger(left) ? left : null
  return result.map((size) => (size === -1 ? null : size))
}
