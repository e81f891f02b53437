import type { Node } from '../../../model/graph.ts'
import { numbersOf } from '../../../tensor/array-value.ts'
import { elementCount } from '../../../tensor/dtype.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { arrayOf, integers, permutations, reversedOrder } from '../arrays.ts'
import { reachesInput } from '../constant-place.ts'
import { type Change, defineHypothesis, type Trial } from '../hypothesis.ts'
import { labelOfReshuffle } from '../moved-axes.ts'
import type { RegionContext } from '../region-context.ts'
import { dataInputs, isReal, type RegionSide, shapeOf } from '../region-side.ts'
import { behindEnd, changeInput, changeValue, computeInstead, openSketch, typeOf, withAttributes } from '../sketch.ts'
import { named } from '../wording.ts'

type Told = Pick<Trial, 'label' | 'detail' | 'fix' | 'prior'> & Partial<Trial>
type Role = RegionSide['role']

const rebuilt = (change: Change | undefined, told: Told): Trial[] =>
  change === undefined ? [] : [{ side: 'reference', change, parameters: 0, ...told }]

const moved = (axes: readonly number[]) => axes.some((axis, at) => axis !== at)

/** A reshape that merges axes which lie in another order, and transposes that are others or missing. */
export const flattenOrder = defineHypothesis({
  id: 'flatten-order',
  stage: 'exact',
  labels: ['flatten-order', 'channel-order'],
  how: "axes are transposed before the reference's reshapes and flattens; its transposes run with every other order of axes of one result shape, or as plain reshapes",
  trials: (context) =>
    context.reference.nodes
      .flatMap((node): Trial[] => {
        if (node.op === 'Reshape' || node.op === 'Flatten') return reshapeTrials(context, node)
        return node.op === 'Transpose' ? transposeTrials(context, node, 'reference') : []
      })
      .concat(
        context.candidate.nodes.flatMap((node) =>
          node.op === 'Transpose' ? transposeTrials(context, node, 'candidate') : [],
        ),
      ),
})

function reshapeTrials(context: RegionContext, node: Node): Trial[] {
  const { reference } = context
  const shape = shapeOf(reference, node.inputs[0]!)
  const result = shapeOf(reference, node.outputs[0]!)
  if (shape === undefined || result === undefined || shape.length < 3 || shape.length > 5) return []
  const trials: Trial[] = []
  // axes of size one change nothing: only one order of each kind is tried
  const seen = new Set<string>([
    squeezed(
      shape,
      shape.map((_, axis) => axis),
    ),
  ])
  for (const axes of permutations(shape.length)) {
    const key = squeezed(shape, axes)
    if (seen.has(key)) continue
    seen.add(key)
    const label: CauseLabel = result.length >= 4 && shape.length >= 4 ? 'channel-order' : 'flatten-order'
    trials.push(
      ...rebuilt(
        computeInstead(reference, node.outputs[0]!, node.inputs[0]!, (sketch, value) =>
          sketch.add('Reshape', [
            sketch.add('Transpose', [value], { perm: { ints: axes } }),
            sketch.constant(integers(result)),
          ]),
        ),
        {
          label,
          also: [label === 'flatten-order' ? 'channel-order' : 'flatten-order'],
          prior: axes[0] === 0 ? 0.93 : 0.88,
          detail: `the candidate merges the axes of [${shape.join(', ')}] in the order ${axes.join(', ')}; the reference's ${named(node)} in order`,
          fix: `transpose back to the reference's order of axes before reshaping to [${result.join(', ')}], or re-order the rows of the dense weight behind it`,
        },
      ),
    )
  }
  return trials
}

/** An order of axes with those of size one left out. */
const squeezed = (shape: readonly number[], axes: readonly number[]) => axes.filter((axis) => shape[axis] !== 1).join()

function transposeTrials(context: RegionContext, node: Node, role: Role): Trial[] {
  const reference = context[role]
  const shape = shapeOf(reference, node.inputs[0]!)
  const result = shapeOf(reference, node.outputs[0]!)
  if (shape === undefined || result === undefined || shape.length > 5) return []
  const label = labelOfReshuffle(reference, node)
  const own = role === 'reference'
  const fix = own
    ? `move axes as the reference's ${named(node)} does`
    : `move axes as the reference does in place of ${named(node)}`
  const [here, there] = own ? ['the candidate', 'the reference'] : ['the reference', 'the candidate']
  const others = permutations(shape.length)
    .filter((axes) => axes.map((axis) => shape[axis]).join() === result.join())
    .flatMap((axes) =>
      rebuilt(withAttributes(node, { perm: { ints: axes } }), {
        label,
        prior: moved(axes) ? 0.92 : 0.93,
        detail: moved(axes)
          ? `the candidate transposes by (${axes.join(', ')})`
          : 'the candidate leaves out a transpose',
        fix,
      }),
    )
  return [
    ...others,
    ...rebuilt(
      computeInstead(reference, node.outputs[0]!, node.inputs[0]!, (sketch, value) =>
        sketch.add('Reshape', [value, sketch.constant(integers(result))]),
      ),
      {
        label,
        also: [label === 'flatten-order' ? 'channel-order' : 'flatten-order'],
        prior: 0.93,
        detail: `${here} reshapes to [${result.join(', ')}] where ${there} transposes (${named(node)})`,
        fix,
        side: role,
      },
    ),
  ]
}

/** Channels in another order: shuffled, interleaved by groups, in reverse, halves exchanged, pixels in depth. */
export const channelOrder = defineHypothesis({
  id: 'channel-order',
  stage: 'wide',
  labels: ['channel-order', 'groups', 'input-channel-order', 'sequence-order'],
  how: 'channels of each value run in reverse, with halves exchanged, interleaved by 2 to 16 groups; shuffles with other group counts; pixel blocks in the other order; sequences from the end',
  trials: (context) => {
    const { reference } = context
    const values = [
      ...new Set([reference.output, ...reference.inputs, ...reference.nodes.map(({ outputs }) => outputs[0]!)]),
    ]
      .filter((name) => isReal(reference.observed.get(name)))
      .slice(0, 10)
    return [
      ...values.flatMap((value) => orderTrials(context, value)),
      ...reference.nodes.flatMap((node) =>
        node.op === 'DepthToSpace'
          ? pixelTrials(node)
          : [...shuffleTrials(reference, node), ...groupTrials(reference, node)],
      ),
    ]
  },
})

function pixelTrials(node: Node): Trial[] {
  const own = String(node.attributes.mode ?? 'DCR')
  const other = own === 'DCR' ? 'CRD' : 'DCR'
  return rebuilt(withAttributes(node, { mode: { string: other } }), {
    label: 'channel-order',
    prior: 0.95,
    detail: `depth to space in the order ${other} in the candidate, ${own} in the reference`,
    fix: `use mode=${own} as in the reference's ${named(node)}`,
  })
}

const GROUPS = [1, 2, 4, 8, 16, 32]

/** A group normalisation that is written as one of (N, g, rest) without parameters of its own: other group counts. */
function groupTrials(reference: RegionSide, node: Node): Trial[] {
  const result = shapeOf(reference, node.outputs[0] ?? '')
  const [norm] = reference.users.get(node.outputs[0] ?? '') ?? []
  if (node.op !== 'Reshape' || norm?.op !== 'InstanceNormalization' || result?.length !== 3) return []
  const [scale, shift] = [1, 2].map((at) => reference.constants.get(norm.inputs[at]!))
  if (scale === undefined || shift === undefined) return []
  const [first] = [numbersOf(scale)[0]!]
  const [offset] = [numbersOf(shift)[0]!]
  const elements = result[1]! * result[2]!
  return GROUPS.filter((count) => count !== result[1] && elements % count === 0).map((count): Trial => {
    const sketch = openSketch(typeOf(reference, node.inputs[0]!))
    const shape = sketch.constant(integers([result[0]!, count, elements / count]))
    const vector = (value: number) => arrayOf('float32', [count], new Float32Array(count).fill(value))
    return {
      side: 'reference',
      change: {
        replace: new Map([
          [node, [...sketch.nodes, { op: 'Reshape', inputs: [node.inputs[0]!, shape], outputs: [node.outputs[0]!] }]],
        ]),
        constants: new Map([
          [norm.inputs[1]!, vector(first)],
          [norm.inputs[2]!, vector(offset)],
        ]),
      },
      label: 'groups',
      parameters: 0,
      prior: 0.94,
      detail: `the group normalisation has ${count} groups in the candidate, ${result[1]} in the reference (${named(norm)})`,
      fix: `normalise in ${result[1]} groups as the reference's ${named(norm)} does`,
    }
  })
}

/** A reshape to (N, g, C/g, ...) with the other group count. */
function shuffleTrials(reference: RegionSide, node: Node): Trial[] {
  const shape = shapeOf(reference, node.inputs[0] ?? '')
  const result = shapeOf(reference, node.outputs[0] ?? '')
  if (node.op !== 'Reshape' || result?.length !== (shape?.length ?? 0) + 1 || result.length < 4) return []
  const channels = result[1]! * result[2]!
  const counts = [...new Set([result[2]!, 2, 3, 4, 8])].filter((count) => count !== result[1] && channels % count === 0)
  return counts.flatMap((count) =>
    rebuilt(
      computeInstead(reference, node.outputs[0]!, node.inputs[0]!, (sketch, value) =>
        sketch.add('Reshape', [
          value,
          sketch.constant(integers([result[0]!, count, channels / count, ...result.slice(3)])),
        ]),
      ),
      {
        label: 'channel-order',
        also: ['groups'],
        prior: 0.93,
        detail: `channels are shuffled by ${count} groups in the candidate, by ${result[1]} in the reference`,
        fix: `shuffle by ${result[1]} groups as the reference's ${named(node)} does`,
      },
    ),
  )
}

function orderTrials({ reference }: RegionContext, value: string): Trial[] {
  const shape = shapeOf(reference, value)
  if (shape === undefined || shape.length < 2 || elementCount(shape) < 4) return []
  const axes = shape.length === 2 ? [1] : shape.length === 3 ? [1, 2] : [1]
  const isInput = reference.program.graph.inputs.some(({ name }) => name === value)
  return axes.flatMap((axis) => {
    const count = shape[axis]!
    return ordersOf(count).flatMap(({ order, what, reversed }) => {
      const sequence = reversed && shape.length === 3 && axis === 1
      const label: CauseLabel =
        isInput && axis === 1 && count <= 4 ? 'input-channel-order' : sequence ? 'sequence-order' : 'channel-order'
      return rebuilt(
        changeValue(reference, value, (sketch, name) =>
          sketch.add('Gather', [name, sketch.constant(integers(order))], { axis: { int: axis } }),
        ),
        {
          label,
          also: [label === 'channel-order' ? 'weight-permuted' : 'channel-order', 'concat-order'],
          // numbers in a row are usually the result of flattening
          prior: shape.length === 2 ? 0.85 : reference.producer.get(value) ? 0.91 : 0.92,
          detail: `axis ${axis} of "${value}" runs ${what} in the candidate`,
          fix:
            label === 'input-channel-order'
              ? "give the candidate the picture in the reference's order of channels"
              : `keep the reference's order along axis ${axis} of "${value}"`,
        },
      )
    })
  })
}

function ordersOf(count: number): { order: number[]; what: string; reversed?: boolean }[] {
  if (count < 2 || count > 4096) return []
  const orders: { order: number[]; what: string; reversed?: boolean }[] = [
    { order: reversedOrder(count), what: 'in reverse', reversed: true },
  ]
  const indices = Array.from({ length: count }, (_, at) => at)
  if (count % 2 === 0 && count > 2)
    orders.push({ order: indices.map((at) => (at + count / 2) % count), what: 'with its halves exchanged' })
  for (const groups of [2, 3, 4, 8, 16])
    if (count % groups === 0 && count / groups > 1)
      orders.push({
        order: indices.map((at) => (at % groups) * (count / groups) + Math.floor(at / groups)),
        what: `interleaved by ${groups} groups`,
      })
  return orders
}

/** The end's axes in another order under the same shape. */
export const endTransposed = defineHypothesis({
  id: 'end-transposed',
  stage: 'wide',
  labels: ['flatten-order'],
  how: "the region's end runs through a transpose, or through a reshape that reads its numbers in another order",
  trials: ({ reference, actual }) => {
    const shape = shapeOf(reference, reference.output)
    const wanted = actual[0]?.shape
    if (shape === undefined || wanted === undefined || shape.length < 2 || shape.length > 5) return []
    if (elementCount(shape) !== elementCount(wanted)) return []
    return permutations(shape.length)
      .filter(
        (axes) =>
          squeezed(shape, axes) !==
          squeezed(
            shape,
            shape.map((_, axis) => axis),
          ),
      )
      .flatMap((axes) =>
        rebuilt(
          behindEnd(reference, (sketch, value) =>
            sketch.add('Reshape', [
              sketch.add('Transpose', [value], { perm: { ints: axes } }),
              sketch.constant(integers(wanted)),
            ]),
          ),
          {
            label: 'flatten-order',
            also: ['channel-order', 'weight-transposed'],
            prior: axes.map((axis) => shape[axis]).join() === wanted.join() ? 0.9 : 0.86,
            detail: `the numbers of "${reference.output}" stand in the order of axes ${axes.join(', ')} in the candidate`,
            fix: `keep the reference's order of axes at "${reference.output}"`,
          },
        ),
      )
  },
})

const RECURRENT = /^(LSTM|GRU|RNN)$/

/** Recurrent layers run the other way, or with resets in another place. */
export const recurrent = defineHypothesis({
  id: 'recurrent',
  stage: 'exact',
  labels: ['sequence-order', 'lstm-gate-order', 'bias-missing'],
  how: 'the recurrent layer runs from the end, on a reversed sequence, with reset gates before and after the product',
  applies: ({ reference }) => reference.nodes.some(({ op }) => RECURRENT.test(op)),
  trials: ({ reference }) =>
    reference.nodes
      .filter(({ op }) => RECURRENT.test(op))
      .flatMap((node) => {
        const direction = String(node.attributes.direction ?? 'forward')
        const [source] = dataInputs(reference, node)
        const length = source === undefined ? 0 : (shapeOf(reference, source)?.[0] ?? 0)
        const trials: Trial[] = []
        if (direction !== 'bidirectional') {
          const other = direction === 'forward' ? 'reverse' : 'forward'
          trials.push(
            ...rebuilt(withAttributes(node, { direction: { string: other } }), {
              label: 'sequence-order',
              prior: 0.95,
              detail: `${node.op} runs ${other} in the candidate, ${direction} in the reference`,
              fix: `set direction=${direction} as in the reference's ${named(node)}`,
            }),
          )
        }
        if (length > 1) {
          const order = reversedOrder(length)
          const flip = (value: string, what: string, change: Change) =>
            trials.push(
              ...rebuilt(change, {
                label: 'sequence-order',
                prior: 0.92,
                detail: `${what} "${value}" of ${named(node)} runs from the end in the candidate`,
                fix: `do not reverse "${value}"`,
              }),
            )
          flip(
            source!,
            'the sequence',
            changeInput(reference, node, 0, (sketch, value) =>
              sketch.add('Gather', [value, sketch.constant(integers(order))], { axis: { int: 0 } }),
            ),
          )
          if (node.outputs[0])
            flip(
              node.outputs[0],
              'the result',
              changeValue(reference, node.outputs[0], (sketch, value) =>
                sketch.add('Gather', [value, sketch.constant(integers(order))], { axis: { int: 0 } }),
              ),
            )
        }
        if (node.op === 'GRU') {
          const own = Number(node.attributes.linear_before_reset ?? 0)
          trials.push(
            ...rebuilt(withAttributes(node, { linear_before_reset: { int: 1 - own } }), {
              label: 'lstm-gate-order',
              also: ['activation-parameter'],
              prior: 0.94,
              detail: `the reset gate acts ${own ? 'before' : 'behind'} the product in the candidate, ${own ? 'behind' : 'before'} it in the reference`,
              fix: `set linear_before_reset=${own} (reset_after=${own ? 'True' : 'False'} in Keras)`,
            }),
          )
        }
        return trials
      }),
})

/** Colours in another order at the input, whatever the layout. */
export const inputChannels = defineHypothesis({
  id: 'input-channels',
  stage: 'exact',
  labels: ['input-channel-order'],
  how: 'the channels of the picture that the region reads are reversed',
  trials: ({ reference }) =>
    reference.inputs.flatMap((name): Trial[] => {
      const shape = shapeOf(reference, name)
      if (shape?.length !== 4) return []
      const users = reference.users.get(name) ?? []
      const isInput =
        reference.program.graph.inputs.some((input) => input.name === name) ||
        users.some((node) => reachesInput(reference, node))
      return [1, 3]
        .filter((axis) => shape[axis]! > 1 && shape[axis]! <= 4)
        .flatMap((axis) =>
          rebuilt(
            changeValue(reference, name, (sketch, value) =>
              sketch.add('Gather', [value, sketch.constant(integers(reversedOrder(shape[axis]!)))], {
                axis: { int: axis },
              }),
            ),
            {
              label: isInput ? 'input-channel-order' : 'channel-order',
              prior: 0.95,
              detail: `the candidate reads the channels of "${name}" in reverse (RGB for BGR)`,
              fix: "give the candidate the channels in the reference's order, or reverse the input channels of its first kernel",
            },
          ),
        )
    }),
})
