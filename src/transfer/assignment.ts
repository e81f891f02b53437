/**
 * Pairs rows with columns so that the sum of scores is largest; every row is paired while columns last.
 *
 * The Hungarian method with potentials, O(rows^2 columns); above `MAX_EXACT` rows the best pairs first.
 * @param score finite for every pair
 * @returns for each row its column, or undefined
 * @source https://en.wikipedia.org/wiki/Hungarian_algorithm
 */
export function assign(
  rows: number,
  columns: number,
  score: (row: number, column: number) => number,
): (number | undefined)[] {
  if (rows === 0 || columns === 0) return new Array(rows).fill(undefined)
  if (Math.max(rows, columns) > MAX_EXACT) return assignGreedily(rows, columns, score)
  if (rows > columns) {
    const found: (number | undefined)[] = new Array(rows).fill(undefined)
    for (const [column, row] of assign(columns, rows, (c, r) => score(r, c)).entries())
      if (row !== undefined) found[row] = column
    return found
  }
  const rowPotential = new Float64Array(rows + 1)
  const columnPotential = new Float64Array(columns + 1)
  const rowOf = new Int32Array(columns + 1)
  for (let row = 1; row <= rows; row++) {
    rowOf[0] = row
    const least = new Float64Array(columns + 1).fill(Number.POSITIVE_INFINITY)
    const way = new Int32Array(columns + 1)
    const used = new Uint8Array(columns + 1)
    let at = 0
    do {
      used[at] = 1
      const current = rowOf[at]!
      let delta = Number.POSITIVE_INFINITY
      let next = 0
      for (let column = 1; column <= columns; column++) {
        if (used[column]) continue
        const cost = -score(current - 1, column - 1) - rowPotential[current]! - columnPotential[column]!
        if (cost < least[column]!) {
          least[column] = cost
          way[column] = at
        }
        if (least[column]! < delta) {
          delta = least[column]!
          next = column
        }
      }
      for (let column = 0; column <= columns; column++) {
        if (used[column]) {
          rowPotential[rowOf[column]!]! += delta
          columnPotential[column]! -= delta
        } else least[column]! -= delta
      }
      at = next
    } while (rowOf[at] !== 0)
    do {
      const previous = way[at]!
      rowOf[at] = rowOf[previous]!
      at = previous
    } while (at !== 0)
  }
  const found: (number | undefined)[] = new Array(rows).fill(undefined)
  for (let column = 1; column <= columns; column++) if (rowOf[column]! > 0) found[rowOf[column]! - 1] = column - 1
  return found
}

/** 400 rows take 64 million steps, a fraction of a second. */
const MAX_EXACT = 400

function assignGreedily(
  rows: number,
  columns: number,
  score: (row: number, column: number) => number,
): (number | undefined)[] {
  const found: (number | undefined)[] = new Array(rows).fill(undefined)
  const taken = new Uint8Array(columns)
  for (let row = 0; row < rows; row++) {
    let best: number | undefined
    for (let column = 0; column < columns; column++)
      if (!taken[column] && (best === undefined || score(row, column) > score(row, best))) best = column
    if (best === undefined) break
    found[row] = best
    taken[best] = 1
  }
  return found
}
