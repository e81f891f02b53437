import { createColors } from 'picocolors'
import { PLAIN, type Style } from '../report/text.ts'

/** Colours for a terminal, or none. */
export function styleFor(color: boolean): Style {
  if (!color) return PLAIN
  const paint = createColors(true)
  return { bold: paint.bold, dim: paint.dim, good: paint.green, warn: paint.yellow, bad: paint.red }
}
