import type { Node } from '../../model/graph.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { usersOf } from './constant-place.ts'
import { type RegionSide, shapeOf } from './region-side.ts'

/**
 * What it is called when axes are moved differently: inside a channel shuffle (five axes) the order of channels, before
 * a dense layer the order of flattening.
 */
export function labelOfReshuffle(side: RegionSide, node: Node): CauseLabel {
  const rank = shapeOf(side, node.outputs[0] ?? '')?.length ?? 0
  if (rank >= 5) return 'channel-order'
  const users = usersOf(side).get(node.outputs[0] ?? '') ?? []
  if (users.some(({ op }) => op === 'Reshape' || op === 'Flatten')) return 'flatten-order'
  return rank === 3 ? 'flatten-order' : 'channel-order'
}
