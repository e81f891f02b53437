import type { Node } from '../../../model/graph.ts'
import { type ArrayValue, numbersOf, transpose } from '../../../tensor/array-value.ts'
import { elementCount, isFloat } from '../../../tensor/dtype.ts'
import { readTensor } from '../../../tensor/tensor.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { arrayOf, flipped, mapArray, permutations, reshaped, swapAxes } from '../arrays.ts'
import { type ConstantPlace, placeOf } from '../constant-place.ts'
import { defineHypothesis, type Trial } from '../hypothesis.ts'
import { counterpart, type RegionContext } from '../region-context.ts'
import { constantBehind, loadConstant, type RegionSide } from '../region-side.ts'
import { relationOf, takeBlocks } from '../weight-relation.ts'
import { named, whereInCandidate } from '../wording.ts'

interface Stored {
  readonly node: Node
  readonly name: string
  readonly value: ArrayValue
  readonly place: ConstantPlace
}

/** Trained arrays that a side's operators take. */
function storedOf(side: RegionSide): Stored[] {
  const found = new Map<string, Stored>()
  for (const node of side.nodes)
    for (const [index, input] of node.inputs.entries()) {
      const name = constantBehind(side, input)
      const value = name === undefined ? undefined : side.constants.get(name)
      if (name === undefined || value === undefined || !isFloat(value.dtype) || found.has(name)) continue
      if (elementCount(value.shape) < 2) continue
      const place = placeOf(side, node, index, value)
      if (place.trained) found.set(name, { node, name, value, place })
    }
  return [...found.values()]
}

function told(
  context: RegionContext,
  { node, name, place }: Stored,
  value: ArrayValue,
  label: CauseLabel,
  what: string,
  more: Partial<Trial> = {},
): Trial {
  return {
    side: 'reference',
    change: { constants: new Map([[name, value]]) },
    label,
    parameters: 0,
    prior: 0.93,
    detail: `${place.word} of the reference's ${named(node)}: ${what} in the candidate`,
    fix: `store the ${place.word} as the reference has it ${whereInCandidate(counterpart(context, node), context.candidate.output)}`,
    ...more,
  }
}

const KERNEL = /^conv/

/** Kernels mirrored, transposed, with input channels in reverse. */
export const kernelsMoved = defineHypothesis({
  id: 'kernels-moved',
  stage: 'exact',
  labels: ['kernel-flipped', 'weight-transposed', 'input-channel-order', 'weight-permuted'],
  how: 'the weight is rotated by 180 degrees, mirrored, transposed in each pair of equal axes, its input channels reversed',
  trials: (context) =>
    storedOf(context.reference).flatMap((stored) => {
      const { value, place } = stored
      const { kind, first } = place.place
      const { shape } = value
      const trials: Trial[] = []
      if (KERNEL.test(kind)) {
        const spatial = shape
          .map((_, axis) => axis)
          .slice(2)
          .filter((axis) => shape[axis]! > 1)
        if (spatial.length > 0)
          trials.push(told(context, stored, flipped(value, spatial), 'kernel-flipped', 'rotated by 180 degrees'))
        for (const axis of spatial.length > 1 ? spatial : [])
          trials.push(
            told(context, stored, flipped(value, [axis]), 'kernel-flipped', `mirrored along axis ${axis}`, {
              prior: 0.92,
            }),
          )
        const axis = kind === 'conv-transpose' ? 0 : 1
        if (shape[axis]! > 1)
          trials.push(
            told(
              context,
              stored,
              flipped(value, [axis]),
              first ? 'input-channel-order' : 'weight-permuted',
              'input channels in reverse order',
            ),
          )
      }
      if (KERNEL.test(kind) || kind === 'dense')
        for (let a = 0; a < shape.length; a++)
          for (let b = a + 1; b < shape.length; b++)
            if (shape[a] === shape[b] && shape[a]! > 1)
              trials.push(
                told(context, stored, swapAxes(value, a, b), 'weight-transposed', `axes ${a} and ${b} exchanged`),
              )
      if (kind === 'dense' && shape.length === 2 && shape[0] !== shape[1]) {
        const [rows, columns] = shape as [number, number]
        trials.push(
          told(
            context,
            stored,
            reshaped(transpose(value, [1, 0]), shape),
            'weight-transposed',
            'transposed, then read in the old shape',
          ),
        )
        trials.push(
          told(
            context,
            stored,
            transpose(reshaped(value, [columns, rows]), [1, 0]),
            'weight-transposed',
            'read in the transposed shape, then transposed',
          ),
        )
      }
      if (kind === 'dense') trials.push(...flattenedRows(context, stored))
      return trials
    }),
})

/** Rows of a dense weight behind a flatten, in the order of another layout of the picture. */
function flattenedRows(context: RegionContext, stored: Stored): Trial[] {
  const { node, value } = stored
  const source = context.reference.producer.get(node.inputs[0] ?? '')
  if (source === undefined || !/^(Flatten|Reshape)$/.test(source.op)) return []
  const shape = context.reference.observed.get(source.inputs[0] ?? '')?.shape.slice(1)
  if (shape === undefined || shape.length < 2 || shape.length > 3) return []
  const rows = elementCount(shape)
  const axis = value.shape.indexOf(rows)
  if (axis < 0 || value.shape.length !== 2) return []
  const turned = axis === 0 ? value : transpose(value, [1, 0])
  return permutations(shape.length)
    .filter((axes) => axes.some((each, at) => each !== at))
    .map((axes) => {
      const apart = reshaped(turned, [...shape, turned.shape[1]!])
      const moved = reshaped(transpose(apart, [...axes, shape.length]), turned.shape)
      const made = axis === 0 ? moved : transpose(moved, [1, 0])
      return told(
        context,
        stored,
        made,
        'flatten-order',
        `rows stand in the order of axes ${axes.join(', ')} of [${shape.join(', ')}]`,
        { prior: 0.94 },
      )
    })
}

/** Biases zero or doubled, vectors at their start, gates in another order. */
export const vectorsAtStart = defineHypothesis({
  id: 'vectors-at-start',
  stage: 'exact',
  labels: ['bias-missing', 'weight-stale', 'position-embedding', 'bn-affine'],
  how: 'the bias, shift or table is zero, or the bias is added twice; a scale is one',
  trials: (context) =>
    storedOf(context.reference).flatMap((stored) => {
      const { value, place, node } = stored
      if (node.op === 'BatchNormalization') return []
      const { word } = place
      if (word === 'bias' || word === 'shift' || word === 'offset')
        return [
          told(
            context,
            stored,
            mapArray(value, () => 0),
            'bias-missing',
            'missing or zero',
            { prior: 0.95 },
          ),
          told(
            context,
            stored,
            mapArray(value, (each) => 2 * each),
            'bias-missing',
            'added twice',
            { prior: 0.9 },
          ),
        ]
      if (word === 'scale')
        return [
          told(
            context,
            stored,
            mapArray(value, () => 1),
            place.label,
            'all one: never loaded',
          ),
        ]
      if (place.label === 'position-embedding') return tableTrials(context, stored)
      return []
    }),
})

/** A table of positions rolled, shifted, reversed, without its first row. */
function tableTrials(context: RegionContext, stored: Stored): Trial[] {
  const { value } = stored
  const axis = value.shape.length - 2
  const count = value.shape[axis]!
  const take = (from: (at: number) => number, what: string) => {
    const order = Array.from({ length: count }, (_, at) => from(at))
    const numbers = numbersOf(value)
    const width = value.shape.at(-1)!
    const made = arrayOf(
      value.dtype,
      value.shape,
      Float64Array.from(
        numbers,
        (_, at) => numbers[(order[Math.floor(at / width) % count] ?? 0) * width + (at % width)]!,
      ),
    )
    return told(context, stored, made, 'position-embedding', what, { prior: 0.94 })
  }
  const side = Math.round(Math.sqrt(count))
  return [
    told(
      context,
      stored,
      mapArray(value, () => 0),
      'position-embedding',
      'missing or zero',
      { prior: 0.94 },
    ),
    take((at) => (at + 1) % count, 'rolled by one position'),
    take((at) => (at + count - 1) % count, 'rolled by one position the other way'),
    take((at) => Math.max(0, at - 1), 'shifted by one position'),
    take((at) => Math.min(count - 1, at + 1), 'shifted by one position the other way'),
    take((at) => count - 1 - at, 'in reverse'),
    ...(side * side === count
      ? [take((at) => (at % side) * side + Math.floor(at / side), 'transposed: columns before rows')]
      : []),
    ...(side * side === count - 1
      ? [
          take(
            (at) => (at === 0 ? 0 : 1 + ((at - 1) % side) * side + Math.floor((at - 1) / side)),
            'transposed behind its first row',
          ),
        ]
      : []),
  ]
}

/** All arrays of a recurrent layer with their gate blocks in another order, the same for all. */
export const gateOrder = defineHypothesis({
  id: 'gate-order',
  stage: 'exact',
  labels: ['lstm-gate-order'],
  how: 'the recurrent layer runs with its gate blocks in each other order, weights and bias alike',
  applies: ({ reference }) => reference.nodes.some(({ op }) => op === 'LSTM' || op === 'GRU'),
  trials: (context) =>
    context.reference.nodes
      .filter(({ op }) => op === 'LSTM' || op === 'GRU')
      .flatMap((node) => {
        const gates = node.op === 'LSTM' ? 4 : 3
        const names = node.inputs.slice(1, 4).filter((name) => context.reference.constants.has(name))
        return permutations(gates)
          .filter((order) => order.some((from, at) => from !== at))
          .map(
            (order): Trial => ({
              side: 'reference',
              change: {
                constants: new Map(
                  names.map((name) => [name, takeBlocks(context.reference.constants.get(name)!, 1, order, gates)]),
                ),
              },
              label: 'lstm-gate-order',
              parameters: 0,
              prior: 0.95,
              detail: `gate blocks stand in the order ${order.join(', ')} of the reference's ${node.op === 'LSTM' ? 'i, o, f, c' : 'z, r, h'}`,
              fix: `re-order the gate blocks of weights and bias ${whereInCandidate(counterpart(context, node), context.candidate.output)}`,
            }),
          )
      }),
})

const MAX_BORROWED = 12
const MAX_BORROWED_BYTES = 64 * 2 ** 20

/** Weights of other layers of the reference, in the place of these. */
export const otherLayersWeights = defineHypothesis({
  id: 'other-layers-weights',
  stage: 'borrowed',
  labels: ['weight-swapped'],
  how: 'the operator runs with the weights of every other layer that has them in the same shape; the layer is named',
  async trials(context) {
    const trials: Trial[] = []
    for (const stored of storedOf(context.reference)) {
      const { value, node } = stored
      if (elementCount(value.shape) < 16 || value.shape.length < 2) continue
      const index = node.inputs.findIndex((name) => constantBehind(context.reference, name) === stored.name)
      for (const other of await sameShaped(context, stored)) {
        const owner = context.faulty.reference.graph.nodes.find(({ inputs }) => inputs.includes(other.name))
        // what belongs to the weight goes with it: bias, and the BatchNorm's parameters where shapes allow
        const bias = owner?.inputs[index + 1]
        const ownBias = node.inputs[index + 1]
        const alone = told(
          context,
          stored,
          other.value,
          'weight-swapped',
          `those of the reference's ${owner ? named(owner) : `"${other.name}"`}`,
          { prior: 0.94 },
        )
        trials.push(alone)
        const moved = bias && ownBias && owner ? await loadConstant(context.faulty.reference, bias) : undefined
        if (moved && ownBias && moved.shape.join() === context.reference.constants.get(ownBias)?.shape.join())
          trials.push({ ...alone, change: { constants: new Map([...alone.change.constants!, [ownBias, moved]]) } })
      }
    }
    return trials
  },
})

async function sameShaped(
  context: RegionContext,
  { name, value }: Stored,
): Promise<{ name: string; value: ArrayValue }[]> {
  const found: { name: string; value: ArrayValue }[] = []
  let bytes = 0
  for (const [other, tensor] of context.faulty.reference.constants) {
    if (other === name || tensor.dtype !== value.dtype || tensor.shape.join() !== value.shape.join()) continue
    bytes += tensor.bytes
    if (found.length >= MAX_BORROWED || bytes > MAX_BORROWED_BYTES) break
    found.push({ name: other, value: { dtype: tensor.dtype, shape: tensor.shape, bytes: await readTensor(tensor) } })
  }
  return found
}

/**
 * The candidate's kernel with the row factors taken out that folding a BatchNorm brought in: every row gets the length
 * and sign of the reference's.
 */
export const foldedKernels = defineHypothesis({
  id: 'folded-kernels',
  stage: 'borrowed',
  labels: [
    'weight-permuted',
    'weight-transposed',
    'kernel-flipped',
    'weight-quantised',
    'weight-stale',
    'input-channel-order',
  ],
  how: "a folded weight of the candidate is freed of its row factors and compared with the reference's; the reference then runs with what was found",
  trials: (context) => {
    const { reference, candidate } = context
    const theirs = storedOf(candidate).filter(
      ({ place }) => KERNEL.test(place.place.kind) || place.place.kind === 'dense',
    )
    return storedOf(reference)
      .filter(({ place }) => KERNEL.test(place.place.kind) || place.place.kind === 'dense')
      .flatMap((stored) =>
        theirs.flatMap((other) =>
          layoutsOf(other.value, stored.value.shape).flatMap((value) => kernelTrials(context, stored, value)),
        ),
      )
  },
})

/** A candidate's kernel under the reference's shape: axes moved where sizes fit. */
function layoutsOf(value: ArrayValue, shape: readonly number[]): ArrayValue[] {
  if (value.shape.join() === shape.join()) return [value]
  if (elementCount(value.shape) !== elementCount(shape)) return []
  const own = value.shape.filter((size) => size !== 1)
  const target = shape.filter((size) => size !== 1)
  if (own.length > 4) return []
  return permutations(own.length)
    .filter((axes) => axes.map((axis) => own[axis]).join() === target.join())
    .slice(0, 2)
    .map((axes) => reshaped(transpose(reshaped(value, own), axes), shape))
}

function kernelTrials(context: RegionContext, stored: Stored, value: ArrayValue): Trial[] {
  const rowAxis = stored.place.place.kind === 'dense' ? 1 : 0
  const factors = rowFactors(context, stored)
  const candidates = [
    value,
    factors === undefined ? undefined : divideRows(value, factors, 0),
    sameRowLengths(stored.value, value, rowAxis),
  ]
  return candidates.flatMap((freed): Trial[] => {
    if (freed === undefined) return []
    const relation = relationOf(stored.value, freed, stored.place.place, 1e-3)
    if (relation === undefined) return []
    const made = relation.apply ? relation.apply(stored.value) : freed
    return [
      told(context, stored, made, relation.label, relation.what, {
        ...(relation.also ? { also: relation.also } : {}),
        prior: relation.apply ? 0.93 : 0.8,
        ...(relation.apply
          ? {}
          : {
              fix: `load the ${stored.place.word} of the reference's ${named(stored.node)} ${whereInCandidate(counterpart(context, stored.node), context.candidate.output)}`,
            }),
      }),
    ]
  })
}

/** scale / sqrt(variance + epsilon) of the BatchNorm behind a convolution of the region. */
function rowFactors({ reference }: RegionContext, { node }: Stored): Float64Array | undefined {
  const users = reference.users.get(node.outputs[0] ?? '') ?? []
  const norm = users.length === 1 && users[0]!.op === 'BatchNormalization' ? users[0]! : undefined
  const [scale, variance] = [norm?.inputs[1], norm?.inputs[4]].map((name) =>
    name === undefined ? undefined : reference.constants.get(name),
  )
  if (norm === undefined || scale === undefined || variance === undefined) return undefined
  const epsilon = typeof norm.attributes.epsilon === 'number' ? norm.attributes.epsilon : 1e-5
  const spread = numbersOf(variance)
  return Float64Array.from(numbersOf(scale), (value, at) => value / Math.sqrt(spread[at]! + epsilon))
}

function divideRows(value: ArrayValue, factors: Float64Array, axis: number): ArrayValue | undefined {
  if (value.shape[axis] !== factors.length || factors.some((factor) => factor === 0)) return undefined
  const inner = elementCount(value.shape.slice(axis + 1))
  return mapArray(value, (number, at) => number / factors[Math.floor(at / inner) % factors.length]!)
}

/** Every row scaled to the length of the reference's: what is left when the factors are not known. */
function sameRowLengths(reference: ArrayValue, value: ArrayValue, axis: number): ArrayValue {
  const inner = elementCount(value.shape.slice(axis + 1))
  const rows = value.shape[axis]!
  const lengths = (array: ArrayValue) => {
    const sums = new Float64Array(rows)
    for (const [at, number] of numbersOf(array).entries()) sums[Math.floor(at / inner) % rows]! += number * number
    return sums.map(Math.sqrt)
  }
  const [mine, theirs] = [lengths(reference), lengths(value)]
  return mapArray(value, (number, at) => {
    const row = Math.floor(at / inner) % rows
    return theirs[row] === 0 ? number : (number * mine[row]!) / theirs[row]!
  })
}
