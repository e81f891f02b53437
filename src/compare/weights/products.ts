import type { Layer } from '../../layers/layer.ts'
import type { Group, PreparedSet } from './entry.ts'
import type { Draft } from './matching.ts'
import { sameShape } from './transform.ts'

/** The product of two activations that a layer's result goes into, and on which side of it. */
interface Factor {
  readonly product: Layer
  readonly side: number
}

/** Scale, bias, reshape, split of heads, transpose: no more lies between a projection and its product. */
const MAX_STEPS = 10

/** For each layer with a kernel, the product of activations behind it: queries are the left factor, keys the right. */
export function factors({ groups, set }: PreparedSet): ReadonlyMap<Group, Factor> {
  const users = new Map<string, Layer[]>()
  for (const layer of set.layers) {
    for (const input of layer.inputs) {
      const known = users.get(input)
      if (known) known.push(layer)
      else users.set(input, [layer])
    }
  }
  const found = new Map<Group, Factor>()
  for (const group of groups) {
    if (group.layer?.kind !== 'dense' && group.layer?.kind !== 'conv') continue
    let values = group.layer.outputs
    for (let step = 0; step < MAX_STEPS && values.length === 1; step++) {
      const [value] = values as [string]
      const [next, another] = users.get(value) ?? []
      if (next === undefined || another) break
      if (/MatMul(V2)?$/i.test(next.op) && next.weights.length === 0) {
        found.set(group, { product: next, side: next.inputs.indexOf(value) })
        break
      }
      if (next.weights.some(({ role }) => role === 'kernel')) break
      values = next.outputs
    }
  }
  return found
}

/** The kernel with which this one has changed sides of one product: a b = b a holds for no two matrices of a network. */
export function crossedInProduct(
  draft: Draft,
  kernels: readonly Draft[],
  [before, after]: readonly [ReadonlyMap<Group, Factor>, ReadonlyMap<Group, Factor>],
): Draft | undefined {
  const places = ({ reference, candidate }: Draft) => [before.get(reference.group), after.get(candidate.group)] as const
  const [left, right] = places(draft)
  if (!left || !right || left.side === right.side) return undefined
  return kernels.find((other) => {
    const [from, to] = places(other)
    return (
      other !== draft &&
      sameShape(other.reference.dims, draft.reference.dims) &&
      from?.product === left.product &&
      to?.product === right.product &&
      from.side === right.side &&
      to.side === left.side
    )
  })
}
