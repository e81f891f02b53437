import type { Node } from '../../model/graph.ts'
import { type ArrayValue, numbersOf } from '../../tensor/array-value.ts'
import { elementCount } from '../../tensor/dtype.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { ACTIVATION_OPS } from './activation-ops.ts'
import { constantBehind, isConstant, type RegionSide } from './region-side.ts'
import type { WeightPlace } from './weight-relation.ts'

/** What a stored value is to the computation. */
export interface ConstantPlace {
  readonly word: string
  /** what a difference of it is called when nothing simpler explains it */
  readonly label: CauseLabel
  readonly also?: readonly CauseLabel[]
  readonly place: WeightPlace
  /** its relations (transposed, permuted, stale) are worth naming: it was trained */
  readonly trained: boolean
}

const CONV = /^(Fused|Nhwc)?Conv$/
const DENSE = /^(MatMul|Gemm|FusedMatMul|FusedGemm)$/
const NORM =
  /^(LayerNormalization|InstanceNormalization|GroupNormalization|SkipLayerNormalization|SimplifiedLayerNormalization|RMSNormalization|GroupNorm)$/
const GATES: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, RNN: 1 }
const VECTOR: WeightPlace = { kind: 'vector' }
const OTHER: WeightPlace = { kind: 'other' }

/** What a node's constant input is for, told by operator, position, shape and neighbours. */
export function placeOf(side: RegionSide, node: Node, index: number, value: ArrayValue): ConstantPlace {
  const { op } = node
  const trained = (word: string, label: CauseLabel, place: WeightPlace): ConstantPlace => ({
    word,
    label,
    place,
    trained: true,
  })
  const plain = (word: string, label: CauseLabel, also?: readonly CauseLabel[]): ConstantPlace => ({
    word,
    label,
    place: OTHER,
    trained: false,
    ...(also ? { also } : {}),
  })
  if (CONV.test(op) || op === 'ConvTranspose') {
    if (index === 1)
      return trained('kernel', 'weight-stale', {
        kind: op === 'ConvTranspose' ? 'conv-transpose' : 'conv',
        first: readsInput(side, node),
      })
    return trained('bias', 'weight-stale', VECTOR)
  }
  if (DENSE.test(op))
    return value.shape.length >= 2 && !(op === 'Gemm' && index === 2)
      ? trained('weight', 'weight-stale', { kind: 'dense' })
      : trained('bias', 'weight-stale', VECTOR)
  if (op === 'BatchNormalization')
    return [
      trained('scale', 'bn-affine', VECTOR),
      trained('scale', 'bn-affine', VECTOR),
      trained('shift', 'bn-affine', VECTOR),
      trained('running mean', 'bn-statistics', VECTOR),
      trained('running variance', 'bn-statistics', VECTOR),
    ][index]!
  if (NORM.test(op)) return trained(index === 1 ? 'scale' : 'shift', 'weight-stale', VECTOR)
  if (op in GATES) {
    if (index > 3) return plain(['', '', '', '', 'sequence lengths', 'initial state'][index] ?? 'state', 'weight-stale')
    return trained(['', 'input weight', 'recurrent weight', 'bias'][index]!, 'weight-stale', {
      kind: 'recurrent',
      gates: GATES[op]!,
    })
  }
  if (op === 'PRelu') return plain('slope', 'activation-parameter')
  if (op === 'Clip') return plain(index === 1 ? 'lower bound' : 'upper bound', 'clip-range', ['activation-type'])
  if (op === 'Pad') return plain(index === 1 ? 'pads' : 'padding value', 'padding')
  if (op === 'Resize' || op === 'Upsample')
    return plain(index === 3 ? 'sizes' : 'scales', 'resize-mode', ['resize-coordinates'])
  if (op === 'Reshape' || op === 'Expand' || op === 'Tile')
    return plain('shape', reshapeLabel(side, node), ['channel-order', 'flatten-order'])
  if (op === 'Slice' || op === 'Split')
    return plain(['', 'starts', 'ends', 'axes', 'steps'][index] ?? 'sizes', sliceLabel(index, value), [
      'channel-order',
      'sequence-order',
    ])
  if (op === 'Concat')
    return plain('constant part', value.shape.length === 3 ? 'position-embedding' : 'constant-value', ['weight-stale'])
  if (op === 'Where') return plain('choice', feeds(side, node, 'Softmax') ? 'attention-mask' : 'constant-value')
  if (op === 'Gather')
    return index === 0
      ? trained('table', readsFixedRows(side, node) ? 'position-embedding' : 'weight-stale', { kind: 'table' })
      : plain('indices', 'channel-order', ['concat-order', 'position-embedding'])
  return arithmeticPlace(side, node, value, plain, trained)
}

/** A constant of Add, Sub, Mul, Div, Pow, Max, Min. */
function arithmeticPlace(
  side: RegionSide,
  node: Node,
  value: ArrayValue,
  plain: (word: string, label: CauseLabel, also?: readonly CauseLabel[]) => ConstantPlace,
  trained: (word: string, label: CauseLabel, place: WeightPlace) => ConstantPlace,
): ConstantPlace {
  const { op } = node
  const sum = op === 'Add' || op === 'Sub' || op === 'Sum'
  const product = op === 'Mul' || op === 'Div'
  const count = elementCount(value.shape)
  if (sum && next(side, node)?.op === 'Sqrt')
    return plain(
      'epsilon',
      /^(ReduceMean|Pow|Mul|ReduceSum|Div)$/.test(before(side, node)?.op ?? '') ? 'layernorm-epsilon' : 'bn-epsilon',
      ['bn-epsilon'],
    )
  if (op === 'Max' || op === 'Min') return plain('bound', 'clip-range', ['activation-type'])
  if (isInsideActivation(side, node))
    return plain('constant of an activation', 'activation-type', ['activation-parameter', 'constant-value'])
  if (op === 'Add' && isTokenTable(value) && !feeds(side, node, 'Softmax'))
    return trained('position embedding', 'position-embedding', { kind: 'table' })
  if ((sum || product) && reachesInput(side, node))
    return plain(sum ? 'mean of the input' : 'scale of the input', 'input-normalisation', ['constant-value'])
  if (sum) {
    if (feeds(side, node, 'Softmax') && side.nodes.some(({ op: each }) => each === 'Softmax'))
      return plain('mask', 'attention-mask')
    const source = before(side, node)
    const behindWeight =
      source !== undefined && (DENSE.test(source.op) || CONV.test(source.op) || source.op === 'ConvTranspose')
    if (count > 1 && behindWeight) return trained('bias', 'weight-stale', VECTOR)
    if (count > 1) return { ...trained('offset', 'bn-affine', VECTOR), also: ['bias-missing', 'constant-value'] }
    return plain('constant', 'constant-value')
  }
  if (product) {
    if (feeds(side, node, 'Softmax')) return plain('factor of the scores', 'attention-scale', ['constant-value'])
    if (count > 1) return { ...trained('scale', 'bn-affine', VECTOR), also: ['constant-value', 'weight-stale'] }
    return plain('factor', 'constant-value', ['attention-scale', 'dropout-active'])
  }
  return ACTIVATION_OPS.has(op) ? plain('constant', 'activation-parameter') : plain('constant', 'constant-value')
}

/** (1, N, D) or (N, D): differs from token to token. */
export function isTokenTable({ shape, ...rest }: ArrayValue): boolean {
  const own = shape.length === 3 && shape[0] === 1 ? shape.slice(1) : shape
  if (own.length !== 2 || own[0]! < 2 || own[1]! < 2) return false
  const numbers = numbersOf({ shape, ...rest })
  const features = own[1]!
  for (let feature = 0; feature < features; feature++) if (numbers[feature] !== numbers[features + feature]) return true
  return false
}

function reshapeLabel(side: RegionSide, node: Node): CauseLabel {
  const around = [before(side, node), next(side, node)].map((each) => each?.op)
  return around.includes('InstanceNormalization')
    ? 'groups'
    : around.includes('Transpose')
      ? 'channel-order'
      : 'flatten-order'
}

function sliceLabel(index: number, value: ArrayValue): CauseLabel {
  return index === 4 && numbersOf(value).some((step) => step < 0) ? 'sequence-order' : 'concat-order'
}

const next = (side: RegionSide, node: Node): Node | undefined => side.users.get(node.outputs[0] ?? '')?.[0]

const before = (side: RegionSide, node: Node): Node | undefined =>
  node.inputs.map((name) => side.producer.get(name)).find((each) => each !== undefined)

/** Whether a node takes an input of the model, looked up through operators that only prepare it. */
export const readsInput = (side: RegionSide, node: Node): boolean => comesFromInput(side, node.inputs[0], PREPARES)

/** Whether a value is an input of the model, but for operators in `through`, a few steps. */
function comesFromInput(side: RegionSide, value: string | undefined, through: ReadonlySet<string>): boolean {
  const inputs = new Set(side.program.graph.inputs.map(({ name }) => name))
  let at = value
  for (let depth = 0; at !== undefined && depth < 8; depth++) {
    if (inputs.has(at)) return true
    const from: Node | undefined = makers(side).get(at)
    if (from === undefined || !through.has(from.op)) return false
    at = from.inputs.find((name) => !isConstant(side, name))
  }
  return false
}

/** Nodes of the whole program by what they give: the region may begin behind the picture's preparation. */
export function makers({ program }: RegionSide): ReadonlyMap<string, Node> {
  const known = MAKERS.get(program)
  if (known) return known
  const made = new Map(program.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  MAKERS.set(program, made)
  return made
}

const MAKERS = new WeakMap<object, ReadonlyMap<string, Node>>()

const PREPARES: ReadonlySet<string> = new Set([
  'Identity',
  'Transpose',
  'Pad',
  'Cast',
  'Mul',
  'Div',
  'Sub',
  'Add',
  'Reshape',
  'Unsqueeze',
  'BatchNormalization',
])

const PREPARATION: ReadonlySet<string> = new Set([
  'Identity',
  'Transpose',
  'Cast',
  'Mul',
  'Div',
  'Sub',
  'Add',
  'Reshape',
  'Unsqueeze',
  'Gather',
])

/** Arithmetic on the picture itself, before any layer. */
export const reachesInput = (side: RegionSide, node: Node): boolean =>
  comesFromInput(
    side,
    node.inputs.find((name) => !isConstant(side, name)),
    PREPARATION,
  )

/** Whether the result runs into an operator through arithmetic alone, a few steps. */
export function feeds(side: RegionSide, node: Node, op: string): boolean {
  const uses = usersOf(side)
  let edge = node.outputs
  for (let depth = 0; depth < 5 && edge.length > 0; depth++) {
    const nodes = edge.flatMap((name) => uses.get(name) ?? [])
    if (nodes.some((each) => each.op === op)) return true
    edge = nodes
      .filter((each) => /^(Add|Mul|Div|Where|Reshape|MatMul|FusedMatMul|Identity|Transpose|Cast)$/.test(each.op))
      .filter((each) => depth === 0 || !/MatMul/.test(each.op))
      .flatMap(({ outputs }) => outputs)
  }
  return false
}

/** Users of values in the whole program. */
export function usersOf({ program }: RegionSide): ReadonlyMap<string, readonly Node[]> {
  const known = USERS.get(program)
  if (known) return known
  const made = new Map<string, Node[]>()
  for (const node of program.graph.nodes)
    for (const name of new Set(node.inputs)) if (name !== '') made.set(name, [...(made.get(name) ?? []), node])
  USERS.set(program, made)
  return made
}

const USERS = new WeakMap<object, ReadonlyMap<string, readonly Node[]>>()

/** A scalar in the midst of an activation that is written out: near Erf, Tanh, Sigmoid, Exp or a Clip that is multiplied. */
function isInsideActivation(side: RegionSide, node: Node): boolean {
  const uses = usersOf(side)
  const made = makers(side)
  const around = new Set<string>()
  let edge: (Node | undefined)[] = [node]
  for (let depth = 0; depth < 4; depth++) {
    edge = edge.flatMap((each) =>
      each === undefined || !/^(Add|Sub|Mul|Div|Pow|Min|Max|Clip|Erf|Tanh|Sigmoid|Exp|HardSigmoid)$/.test(each.op)
        ? []
        : [...each.outputs.flatMap((name) => uses.get(name) ?? []), ...each.inputs.map((name) => made.get(name))],
    )
    for (const each of edge) if (each) around.add(each.op)
  }
  const isScalar = node.inputs.some((name) => {
    const constant = constantBehind(side, name)
    const value = constant === undefined ? undefined : side.constants.get(constant)
    return value !== undefined && elementCount(value.shape) === 1
  })
  return (
    isScalar &&
    /^(Mul|Div|Add|Pow)$/.test(node.op) &&
    ['Erf', 'Tanh', 'Sigmoid', 'HardSigmoid', 'Clip'].some((op) => around.has(op))
  )
}

/** A gather whose rows do not depend on the input: positions. */
function readsFixedRows(side: RegionSide, node: Node): boolean {
  return node.inputs[1] !== undefined && isConstant(side, node.inputs[1])
}
