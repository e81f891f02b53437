import type { PreparedSet } from './entry.ts'
import type { LayoutHints } from './layouts.ts'

/** Channel counts and feature map sizes of both models: a flatten can only regroup what these allow. */
export function collectHints(reference: PreparedSet, candidate: PreparedSet): LayoutHints {
  const channels = new Set<number>()
  const maps = new Map<string, readonly [number, number, number]>()
  for (const { entries, set } of [reference, candidate]) {
    for (const { tensor } of entries)
      if (tensor.shape.length === 4) for (const size of tensor.shape) if (size > 1) channels.add(size)
    for (const { outputShapes, attributes } of set.layers) {
      for (const shape of outputShapes) {
        if (shape?.length !== 4) continue
        const [, a, b, c] = shape
        if (a == null || b == null || c == null) continue
        const map = attributes.dataFormat === 'channels-last' ? ([c, a, b] as const) : ([a, b, c] as const)
        maps.set(map.join(), map)
        // a layer that states no layout (an activation) is taken both ways: values decide
        if (attributes.dataFormat === undefined) maps.set([c, a, b].join(), [c, a, b])
      }
    }
  }
  return { channels, maps: [...maps.values()] }
}
