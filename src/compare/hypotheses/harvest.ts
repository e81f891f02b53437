import { numbersOf } from '../../tensor/array-value.ts'
import { elementCount, isFloat } from '../../tensor/dtype.ts'
import type { RegionSide } from './region-side.ts'

/**
 * Real numbers that a side states in its region: attributes and scalar constants, each once. A wrong epsilon, slope or
 * factor of a fused or written-out candidate stands somewhere among them, so nothing has to be fitted.
 */
export function harvested(side: RegionSide): number[] {
  const found = new Set<number>()
  for (const node of side.nodes) {
    for (const value of Object.values(node.attributes)) {
      const values = Array.isArray(value) ? value : [value]
      for (const each of values) if (typeof each === 'number' && !Number.isInteger(each)) found.add(each)
    }
    if (Array.isArray(node.attributes.activation_params))
      for (const each of node.attributes.activation_params) if (typeof each === 'number') found.add(each)
  }
  for (const value of side.constants.values()) {
    if (isFloat(value.dtype) && elementCount(value.shape) === 1) found.add(numbersOf(value)[0]!)
  }
  return [...found].filter(Number.isFinite)
}
