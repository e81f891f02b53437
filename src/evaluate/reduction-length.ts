import type { Node } from '../model/graph.ts'
import { elementCount } from '../tensor/dtype.ts'

type Shape = readonly number[]

interface Facts {
  readonly node: Node
  /** shape of an input; `[]` where unknown */
  readonly shape: (index: number) => Shape
  /** values of an input that is a short list, where they are known */
  readonly list: (index: number) => readonly number[] | undefined
}

type Rule = (facts: Facts) => number

/**
 * How many products or terms the longest sum of a node has: K of the bound sqrt(K) x u for its rounding error.
 *
 * @param shapes of the node's inputs, in order; undefined where unknown
 * @param values of inputs that are lists of axes, where they are at hand; without them all axes count as reduced
 * @returns 1 for operators without a sum, and where the shapes do not tell
 */
export function reductionLength(
  node: Node,
  shapes: readonly (Shape | undefined)[],
  values: readonly (ArrayLike<number> | undefined)[] = [],
): number {
  const rule = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined
  if (rule === undefined) return 1
  const list = (index: number) => (values[index] === undefined ? undefined : Array.from(values[index]))
  const length = rule({ node, shape: (index) => shapes[index] ?? [], list })
  return Number.isFinite(length) && length > 1 ? length : 1
}

function numberOf({ node }: Facts, name: string, standard: number): number {
  const value = node.attributes[name]
  return typeof value === 'number' ? value : standard
}

function numbersOf({ node }: Facts, name: string): readonly number[] | undefined {
  const value = node.attributes[name]
  return Array.isArray(value) && value.every((item) => typeof item === 'number') ? (value as number[]) : undefined
}

const axisFrom = (facts: Facts, standard: number) => {
  const axis = numberOf(facts, 'axis', standard)
  return axis < 0 ? axis + facts.shape(0).length : axis
}

/** Weights of one output: all axes but the first. */
const perFilter: Rule = ({ shape }) => elementCount(shape(1).slice(1))
/** All input channels of the group meet in one output, through every place of the kernel at most. */
const transposedConv: Rule = (facts) =>
  ((facts.shape(1)[0] ?? 1) / numberOf(facts, 'group', 1)) * elementCount(facts.shape(1).slice(2))
const gemm: Rule = (facts) => facts.shape(0)[numberOf(facts, 'transA', 0) === 0 ? 1 : 0] ?? 1
const matMul: Rule = (facts) => facts.shape(0).at(numberOf(facts, 'transA', 0) === 0 ? -1 : -2) ?? 1
const spatial: Rule = ({ shape }) => elementCount(shape(0).slice(2))
const kernel: Rule = (facts) => elementCount(numbersOf(facts, 'kernel_shape') ?? [])
const alongAxis: Rule = (facts) => facts.shape(0)[axisFrom(facts, -1)] ?? 1
const fromAxis: Rule = (facts) => elementCount(facts.shape(0).slice(axisFrom(facts, -1)))
const lastAxis: Rule = ({ shape }) => shape(0).at(-1) ?? 1
const operands: Rule = ({ node }) => node.inputs.length

const reduced: Rule = (facts) => {
  const shape = facts.shape(0)
  const axes = numbersOf(facts, 'axes') ?? facts.list(1)
  if (axes === undefined || axes.length === 0) return elementCount(shape)
  return elementCount(axes.map((axis) => shape.at(axis) ?? 1))
}

const einsum: Rule = (facts) => {
  const [left = '', right = ''] = String(facts.node.attributes.equation ?? '')
    .replaceAll(' ', '')
    .split('->')
  const sizes = new Map<string, number>()
  for (const [index, term] of left.split(',').entries()) {
    if (term.includes('.')) continue
    for (const [axis, label] of [...term].entries()) sizes.set(label, facts.shape(index)[axis] ?? 1)
  }
  return elementCount([...sizes].filter(([label]) => !right.includes(label)).map(([, size]) => size))
}

/** One step; the state carries errors from step to step, which this does not count. */
const recurrent: Rule = ({ shape }) => (shape(1)[2] ?? 0) + (shape(2)[2] ?? 0)

/** Products over the size of a head, then over all keys; the whole width is an upper bound of both where heads are unknown. */
const attention: Rule = ({ shape }) => Math.max(shape(0).at(-1) ?? 1, shape(1).at(-2) ?? 1)

const RULES: Readonly<Record<string, Rule>> = {
  Conv: perFilter,
  FusedConv: perFilter,
  ConvTranspose: transposedConv,
  Gemm: gemm,
  FusedGemm: gemm,
  MatMul: matMul,
  FusedMatMul: matMul,
  TransposeMatMul: matMul,
  Einsum: einsum,
  AveragePool: kernel,
  LpPool: kernel,
  GlobalAveragePool: spatial,
  GlobalLpPool: spatial,
  InstanceNormalization: spatial,
  GroupNormalization: (facts) => elementCount(facts.shape(0).slice(1)) / numberOf(facts, 'num_groups', 1),
  GroupNorm: (facts) => elementCount(facts.shape(0).slice(1)) / numberOf(facts, 'groups', 1),
  LayerNormalization: fromAxis,
  SimplifiedLayerNormalization: fromAxis,
  RMSNormalization: fromAxis,
  SkipLayerNormalization: lastAxis,
  SkipSimplifiedLayerNormalization: lastAxis,
  MeanVarianceNormalization: (facts) =>
    elementCount((numbersOf(facts, 'axes') ?? [0, 2, 3]).map((axis) => facts.shape(0).at(axis) ?? 1)),
  LpNormalization: alongAxis,
  LRN: (facts) => numberOf(facts, 'size', 1),
  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  BiasSoftmax: alongAxis,
  ReduceSum: reduced,
  ReduceMean: reduced,
  ReduceProd: reduced,
  ReduceL1: reduced,
  ReduceL2: reduced,
  ReduceSumSquare: reduced,
  ReduceLogSum: reduced,
  ReduceLogSumExp: reduced,
  CumSum: lastAxis,
  Sum: operands,
  Mean: operands,
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  Attention: attention,
  MultiHeadAttention: attention,
}
