import type { Node } from '../../../model/graph.ts'
import { numbersOf } from '../../../tensor/array-value.ts'
import { elementCount, isFloat } from '../../../tensor/dtype.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { ACTIVATION_OPS } from '../activation-ops.ts'
import { permutations, show } from '../arrays.ts'
import { feeds, isTokenTable, placeOf, reachesInput } from '../constant-place.ts'
import { elementwiseSpans } from '../elementwise-spans.ts'
import { type Change, defineHypothesis, type Trial } from '../hypothesis.ts'
import type { RegionContext } from '../region-context.ts'
import { dataInputs, nodesBetween, type RegionSide, shapeOf } from '../region-side.ts'
import { leaveOut } from '../sketch.ts'
import { named } from '../wording.ts'

const MAX_PAIRS = 60

/** Stretches of a region that could be left out: both ends of one shape, or of the shape that the end then has. */
function stretches(side: RegionSide, endShape: string | undefined): { from: string; to: string; nodes: Node[] }[] {
  const found: { from: string; to: string; nodes: Node[] }[] = []
  for (const last of [...side.nodes].reverse()) {
    for (const to of last.outputs.slice(0, 1)) {
      const shape = shapeOf(side, to)?.join()
      if (shape === undefined) continue
      for (const from of upstream(side, to)) {
        const source = shapeOf(side, from)?.join()
        if (source !== shape && !(to === side.output && source === endShape)) continue
        found.push({ from, to, nodes: nodesOn(side, from, to) })
        if (found.length >= MAX_PAIRS) return found
      }
    }
  }
  return found
}

function upstream(side: RegionSide, to: string): string[] {
  const found = new Set<string>()
  let edge = [to]
  while (edge.length > 0) {
    edge = edge.flatMap((name) => {
      const node = side.producer.get(name)
      return node ? dataInputs(side, node).filter((each) => !found.has(each)) : []
    })
    for (const name of edge) found.add(name)
  }
  return [...found]
}

/** Nodes that run only for `to`, up to `from`. */
function nodesOn(side: RegionSide, from: string, to: string): Node[] {
  const strict = nodesBetween(side, from, to)
  if (strict) return strict
  const last = side.producer.get(to)
  if (last === undefined) return []
  if (last.inputs.includes(from)) return [last]
  const on = new Set<Node>()
  const walk = (name: string): boolean => {
    if (name === from) return true
    const node = side.producer.get(name)
    if (node === undefined) return false
    const reaches = dataInputs(side, node).map(walk).some(Boolean)
    if (reaches) on.add(node)
    return reaches
  }
  walk(to)
  return side.nodes.filter((node) => on.has(node))
}

/** What it is called when these nodes are missing, or are there without need. */
function labelOf(
  side: RegionSide,
  from: string,
  to: string,
  nodes: readonly Node[],
  extra: boolean,
): Pick<Trial, 'label' | 'also'> & { word: string } {
  const layer: CauseLabel = extra ? 'layer-extra' : 'layer-missing'
  const activation: CauseLabel = extra ? 'activation-extra' : 'activation-missing'
  const kinds = nodes.map(({ op }) => op).filter((op) => op !== 'Identity' && op !== 'Constant')
  const word = kinds.length > 4 ? `${kinds.slice(0, 3).join(', ')} and ${kinds.length - 3} more` : kinds.join(', ')
  const last = nodes.at(-1)
  if (kinds.length === 0 || last === undefined) return { label: layer, word: word || 'nothing' }
  const span = elementwiseSpans(side).find((each) => each.from === from && each.to === to)
  if (span?.form || kinds.every((op) => ACTIVATION_OPS.has(op)))
    return { label: activation, also: [layer], word: span?.form?.name ?? word }
  if (kinds.every((op) => op === 'Cast')) return { label: 'dtype-cast', also: [layer], word }
  if (kinds.some((op) => /Softmax$/.test(op)) && kinds.length === 1)
    return { label: activation, also: [layer, 'softmax-axis'], word }
  if (kinds.every((op) => op === 'Pad')) return { label: 'padding', also: [layer], word }
  if (last.op === 'Add' || last.op === 'Sum' || last.op === 'Sub' || last.op === 'Mul' || last.op === 'Div') {
    const data = dataInputs(side, last).length
    const at = last.inputs.findIndex((name) => side.constants.has(name))
    const value = side.constants.get(last.inputs[at] ?? '')
    if (kinds.length === 1 && value !== undefined && data === 1) {
      const place = placeOf(side, last, at, value)
      if (place.label === 'weight-stale' || place.label === 'bn-affine')
        return last.op === 'Add'
          ? { label: 'bias-missing', also: [layer], word }
          : { label: layer, also: ['constant-value'], word }
      if (place.label === 'constant-value' && elementCount(value.shape) > 1 && isTokenTable(value))
        return { label: 'position-embedding', also: [layer], word }
      if ((last.op === 'Mul' || last.op === 'Div') && elementCount(value.shape) === 1) {
        const factor = numbersOf(value)[0]!
        const keep = [0.9, 0.8, 0.75, 0.7, 0.6, 0.5].some((share) => near(factor, share) || near(factor * share, 1))
        const label = place.label === 'activation-type' ? 'constant-value' : place.label
        return extra && keep && label === 'constant-value'
          ? { label: 'dropout-active', also: [label, layer], word: `a factor of ${show(factor)}` }
          : { label, also: [layer], word: `a factor of ${show(factor)}` }
      }
      return { label: place.label, also: [layer], word }
    }
    if ((last.op === 'Add' || last.op === 'Sum') && data > 1) {
      if (feeds(side, last, 'Softmax')) return { label: 'attention-mask', also: [layer, 'residual-missing'], word }
      return { label: extra ? 'layer-extra' : 'residual-missing', also: [layer], word }
    }
  }
  if (kinds.length === 1 && last.op === 'Gather' && reorders(side, last)) {
    const grouped = side.nodes.some(
      ({ inputs, attributes }) => inputs.includes(to) && Number(attributes.group ?? 1) > 1,
    )
    return grouped
      ? {
          label: 'groups',
          also: ['channel-order', layer],
          word: 'another order of the channels of a grouped convolution',
        }
      : { label: 'channel-order', also: ['groups', layer], word: 'another order of channels' }
  }
  if (kinds.includes('Slice') && kinds.length === 1)
    return { label: 'sequence-order', also: ['channel-order', layer], word }
  if (
    kinds.every((op) => /^(Reshape|Transpose|Gather|Slice|Concat|Split|DepthToSpace|SpaceToDepth|Flatten)$/.test(op)) &&
    kinds.length > 1
  )
    return { label: 'channel-order', also: ['flatten-order', layer], word }
  if (kinds.every((op) => op === 'Transpose')) return { label: 'flatten-order', also: ['channel-order', layer], word }
  if (kinds.length > 0 && nodes.every((node) => reachesInput(side, node) && /^(Sub|Div|Mul|Add)$/.test(node.op)))
    return { label: 'input-normalisation', also: [layer], word }
  return { label: layer, word }
}

/** Whether a Gather takes every element of its axis once, in another order. */
function reorders(side: RegionSide, { inputs }: Node): boolean {
  const indices = side.constants.get(inputs[1] ?? '')
  if (indices === undefined || indices.shape.length !== 1) return false
  const order = [...numbersOf(indices)]
  const sorted = order.toSorted((left, right) => left - right)
  return order.length > 1 && sorted.every((value, at) => value === at) && order.some((value, at) => value !== at)
}

/** Something of the reference that the candidate leaves out. */
export const leftOut = defineHypothesis({
  id: 'left-out',
  stage: 'exact',
  labels: [
    'residual-missing',
    'layer-missing',
    'bias-missing',
    'activation-missing',
    'position-embedding',
    'attention-mask',
    'padding',
    'channel-order',
    'attention-scale',
  ],
  how: 'parts of the reference are left out: an operator, a branch of a sum, a block between two values of one shape',
  trials: ({ reference, candidate, actual }) =>
    stretches(reference, actual[0]?.shape.join()).flatMap(({ from, to, nodes }) =>
      bypass(reference, from, to, nodes, (told) => ({
        ...told,
        detail: `the candidate goes on with "${from}" where the reference applies ${told.word} (${named(nodes.at(-1)!)})`,
        fix: `apply ${told.word} as the reference's ${named(nodes.at(-1)!)} does, before "${candidate.output}"`,
      })),
    ),
})

/** Something that only the candidate does. */
export const addedOn = defineHypothesis({
  id: 'added-on',
  stage: 'exact',
  labels: [
    'layer-extra',
    'activation-extra',
    'dtype-cast',
    'constant-value',
    'dropout-active',
    'padding',
    'attention-mask',
    'channel-order',
    'sequence-order',
  ],
  how: 'parts of the candidate are left out: an operator, or a block between two values of one shape',
  trials: ({ candidate, expected }) =>
    stretches(candidate, expected[0]?.shape.join()).flatMap(({ from, to, nodes }) =>
      bypass(
        candidate,
        from,
        to,
        nodes,
        (told) => ({
          ...told,
          detail: `the candidate applies ${told.word} to "${from}" and the reference does not`,
          fix: `remove ${nodes.length === 1 ? named(nodes[0]!) : `${told.word} between "${from}" and "${to}"`}`,
        }),
        true,
      ),
    ),
})

function bypass(
  side: RegionSide,
  from: string,
  to: string,
  nodes: readonly Node[],
  tell: (told: Pick<Trial, 'label' | 'also'> & { word: string }) => Pick<Trial, 'label' | 'also' | 'detail' | 'fix'>,
  extra = false,
): Trial[] {
  const change = leaveOut(side, to, from)
  if (change === undefined || nodes.length === 0) return []
  const { label, also, detail, fix } = tell(labelOf(side, from, to, nodes, extra))
  // the shortest stretch that explains it is the likeliest
  const prior = 0.92 - 0.01 * Math.min(20, nodes.length)
  const weak = extra && nodes.length > 2 && nodes.some(({ op }) => /Conv|MatMul|Gemm/.test(op))
  return [
    {
      side: side.role,
      change,
      label,
      ...(also ? { also } : {}),
      parameters: 0,
      prior,
      detail,
      fix,
      stretch: { from, to },
      ...(weak ? { weak } : {}),
    },
  ]
}

const near = (a: number, b: number) => Math.abs(a - b) < 1e-4 * b

const ORDERED = /^(Concat|Sub|Div|MatMul|Pow|Where|Gemm)$/

/** Parts of a concatenation, or of any operator that minds the order, in another one. */
export const partsInOtherOrder = defineHypothesis({
  id: 'parts-in-other-order',
  stage: 'exact',
  labels: ['concat-order'],
  how: 'the operator runs with its inputs in every other order, a split with its results in every other order, two parts alike',
  trials: (context) =>
    (['reference', 'candidate'] as const).flatMap((role) =>
      context[role].nodes.flatMap((node): Trial[] => {
        const wants = role === 'reference' ? 'in the candidate' : 'in the reference'
        const told = (change: Change, order: readonly number[]): Trial => ({
          side: role,
          change,
          label: 'concat-order',
          parameters: 0,
          prior: role === 'reference' ? 0.93 : 0.92,
          detail: `${named(node)}: its parts come in the order ${order.join(', ')} ${wants}`,
          fix: `put the parts of ${named(node)} into the reference's order`,
        })
        if (ORDERED.test(node.op)) {
          const count = node.inputs.length
          if (count < 2 || count > 5 || (node.op === 'Gemm' && count > 2)) return []
          return permutations(count)
            .filter((order) => order.some((from, to) => from !== to))
            .map((order) =>
              told(
                { replace: new Map([[node, [{ from: node, inputs: order.map((at) => node.inputs[at]!) }]]]) },
                order,
              ),
            )
        }
        if (node.op !== 'Split' || node.outputs.length > 5) return []
        const shapes = new Set(node.outputs.map((name) => shapeOf(context[role], name)?.join()))
        if (shapes.size !== 1) return []
        return permutations(node.outputs.length)
          .filter((order) => order.some((from, to) => from !== to))
          .map((order) =>
            told(
              { replace: new Map([[node, [{ from: node, outputs: order.map((at) => node.outputs[at]!) }]]]) },
              order,
            ),
          )
      }),
    ),
})

/** A value of the cut in the place of another of the same shape: wrong wiring inside a region. */
export const otherWiring = defineHypothesis({
  id: 'other-wiring',
  stage: 'wide',
  labels: ['residual-missing', 'layer-missing', 'concat-order'],
  how: "an operator's input comes from each other value of the region that has its shape",
  trials: ({ reference }: RegionContext) =>
    reference.nodes.flatMap((node, position) => {
      const earlier = [...reference.inputs, ...reference.nodes.slice(0, position).flatMap(({ outputs }) => outputs)]
      return node.inputs.flatMap((name, at): Trial[] => {
        const value = reference.observed.get(name)
        if (value === undefined || !isFloat(value.dtype) || dataInputs(reference, node).length < 2) return []
        return earlier
          .filter((other) => other !== name && other !== '' && shapeOf(reference, other)?.join() === value.shape.join())
          .slice(0, 6)
          .map((other) => ({
            side: 'reference' as const,
            change: {
              replace: new Map([
                [node, [{ from: node, inputs: node.inputs.map((each, index) => (index === at ? other : each)) }]],
              ]),
            },
            label:
              node.op === 'Concat'
                ? ('concat-order' as const)
                : node.op === 'Add' || node.op === 'Sum'
                  ? ('residual-missing' as const)
                  : ('layer-missing' as const),
            parameters: 0,
            prior: 0.7,
            detail: `input ${at} of ${named(node)} comes from "${other}" in the candidate, from "${name}" in the reference`,
            fix: `connect input ${at} of ${node.op} to what corresponds to the reference's "${name}"`,
          }))
      })
    }),
})
