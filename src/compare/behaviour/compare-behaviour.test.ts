import { expect, test } from 'vitest'
import type { Graph, Node } from '../../model/graph.ts'
import { type ArrayValue, float32Array, transpose } from '../../tensor/array-value.ts'
import { normal, seededRandom } from '../random.ts'
import { compareBehaviour } from './compare-behaviour.ts'
import type { Recording } from './recording.ts'

/** `out = Op(in, ...)` lines make a graph; the first input is `x`. */
function graphOf(...lines: string[]): Graph {
  const nodes = lines.map((line, index): Node => {
    const [, output, op, inputs] = /^(\S+) = (\w+)\((.*)\)$/.exec(line)!
    return {
      name: `${op}_${index}`,
      op: op!,
      domain: 'ai.onnx',
      inputs: inputs!.split(', '),
      outputs: [output!],
      attributes: {},
    }
  })
  const last = nodes.at(-1)!.outputs[0]!
  return { name: 'g', kind: 'main', inputs: [{ name: 'x' }], outputs: [{ name: last }], nodes, values: new Map() }
}

const random = seededRandom(5)
const array = (...shape: number[]): ArrayValue =>
  float32Array(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => normal(random)),
  )
const scaled = ({ shape, bytes }: ArrayValue, by: number) =>
  float32Array(
    shape,
    new Float32Array(bytes.slice().buffer).map((value) => value * by),
  )
const record = (graph: Graph, ...runs: Record<string, ArrayValue>[]): Recording => ({
  graph,
  runs: runs.map((run) => new Map(Object.entries(run))),
})
const tight = () => 1e-6

const x = array(1, 3, 5, 4)
const a = array(1, 6, 5, 4)
const b = array(1, 6, 5, 4)
const y = array(1, 6)

test('equal values under other names, in channels-last order, are a match', () => {
  const reference = record(graphOf('a = Conv(x)', 'b = Relu(a)', 'y = Pool(b)'), { x, a, b, y })
  const nhwc = (value: ArrayValue) => transpose(value, [0, 2, 3, 1])
  const candidate = record(graphOf('t1 = Conv2D(x)', 't2 = Relu(t1)', 'out = Mean(t2)'), {
    x: nhwc(x),
    t1: nhwc(a),
    t2: nhwc(b),
    out: y,
  })
  const result = compareBehaviour(reference, candidate, tight)
  expect(result.verdict).toBe('match')
  expect(result.values.map(({ candidate: name, layout }) => [name, layout])).toEqual([
    ['t1', 'channels first -> channels last'],
    ['t2', 'channels first -> channels last'],
    ['out', 'same'],
  ])
})

test('a value that fusion removed is hidden, not different', () => {
  const reference = record(graphOf('a = Conv(x)', 'b = BatchNormalization(a)', 'y = Pool(b)'), { x, a, b, y })
  const candidate = record(graphOf('c = Conv(x)', 'y = Pool(c)'), { x, c: b, y })
  const result = compareBehaviour(reference, candidate, tight)
  expect(result.verdict).toBe('match')
  expect(result.values.map(({ status }) => status)).toEqual(['hidden', 'equal', 'equal'])
})

test('the first difference is named on both sides; what follows is behind it', () => {
  const reference = record(graphOf('a = Conv(x)', 'b = Relu(a)', 'y = Pool(b)'), { x, a, b, y })
  const candidate = record(graphOf('p = Conv(x)', 'q = LeakyRelu(p)', 'r = Pool(q)'), {
    x,
    p: a,
    q: scaled(b, 1.1),
    r: scaled(y, 1.2),
  })
  const result = compareBehaviour(reference, candidate, tight)
  expect(result.verdict).toBe('mismatch')
  expect([result.divergence?.referenceTensor, result.divergence?.candidateTensor]).toEqual(['b', 'q'])
  expect(result.divergence?.distance?.relL2).toBeCloseTo(0.1, 5)
  expect(result.values.map(({ status }) => status)).toEqual(['equal', 'different', 'after-divergence'])
})

test('an output that differs on one of two inputs is a mismatch', () => {
  const graph = graphOf('a = Conv(x)', 'y = Pool(a)')
  const reference = record(graph, { x, a, y }, { x, a, y })
  const candidate = record(graph, { x, a, y }, { x, a, y: scaled(y, 1.01) })
  expect(compareBehaviour(reference, candidate, tight).verdict).toBe('mismatch')
})

test('an output that only one side has is never passed over', () => {
  const graph = graphOf('a = Conv(x)', 'y = Pool(a)')
  const more: Graph = { ...graph, outputs: [{ name: 'a' }, { name: 'y' }] }
  const result = compareBehaviour(
    record(more, { x, a, y }),
    record({ ...graph, outputs: [{ name: 'a' }] }, { x, a, y }),
    tight,
  )
  expect(result.verdict).toBe('mismatch')
  expect(result.notCompared).toEqual([
    { what: 'output "y" of the reference', reason: 'the candidate has fewer outputs' },
  ])
})

test('nothing compared is never a match', () => {
  const graph: Graph = { ...graphOf('a = Conv(x)'), outputs: [] }
  expect(compareBehaviour(record(graph, { x, a }), record(graph, { x, a }), tight).verdict).toBe('not-compared')
})

test('shapes that differ are a difference with a place', () => {
  const reference = record(graphOf('a = MaxPool(x)', 'y = Conv(a)'), { x, a: array(1, 3, 3, 2), y })
  const candidate = record(graphOf('p = MaxPool(x)', 'q = Conv(p)'), { x, p: array(1, 3, 2, 2), q: array(1, 6) })
  const { divergence } = compareBehaviour(reference, candidate, tight)
  expect([divergence?.referenceTensor, divergence?.candidateTensor, divergence?.distance]).toEqual([
    'a',
    'p',
    undefined,
  ])
  expect([divergence?.referenceShape, divergence?.candidateShape]).toEqual([
    [1, 3, 3, 2],
    [1, 3, 2, 2],
  ])
})

test('an operator that only the candidate has is looked through: the place is what follows it on both sides', () => {
  const reference = record(graphOf('a = Relu(x)', 'y = Conv(a)'), { x, a: b, y })
  const candidate = record(graphOf('p = Relu(x)', 'q = Pad(p)', 'r = Conv(q)'), {
    x,
    p: b,
    q: array(1, 6, 7, 6),
    r: scaled(y, 1.3),
  })
  const { divergence, causes } = compareBehaviour(reference, candidate, tight)
  expect([divergence?.referenceTensor, divergence?.candidateTensor]).toEqual(['y', 'r'])
  expect(causes.map(({ label }) => label)).toEqual(['padding'])
})

test('what follows the last value on one side only is the difference', () => {
  const reference = record(graphOf('a = Relu(x)', 'y = Gemm(a)'), { x, a, y })
  const candidate = record(graphOf('p = Relu(x)', 'q = Gemm(p)', 'r = Mul(q)'), { x, p: a, q: y, r: scaled(y, 1.25) })
  const { divergence, causes } = compareBehaviour(reference, candidate, tight)
  expect([divergence?.referenceTensor, divergence?.candidateTensor]).toEqual(['y', 'r'])
  expect(causes.map(({ label }) => label)).toEqual(['constant-value', 'dropout-active'])
})

test('behind a folded convolution the place is the BatchNorm, whatever the names', () => {
  const reference = record(graphOf('a = Conv(x)', 'b = BatchNormalization(a)', 'y = Pool(b)'), { x, a, b, y })
  const candidate = record(graphOf('a = Conv(x)', 'y = Pool(a)'), { x, a: scaled(b, 1.1), y: scaled(y, 1.1) })
  const anchors = [{ referenceNode: 'Conv_0', candidateNode: 'Conv_0', folded: true }]
  const { divergence } = compareBehaviour(reference, candidate, tight, anchors)
  expect([divergence?.referenceTensor, divergence?.candidateTensor]).toEqual(['b', 'a'])
})

test('a skip connection that a fused convolution leaves out is missed, no activation is extra', () => {
  const relu = (value: ArrayValue) =>
    float32Array(
      value.shape,
      new Float32Array(value.bytes.slice().buffer).map((number) => Math.max(0, number)),
    )
  const [sum, last] = [array(1, 6, 5, 4), array(1, 6)]
  const reference = record(graphOf('a = Relu(x)', 'b = Conv(a)', 's = Add(b, a)', 't = Relu(s)', 'y = Pool(t)'), {
    x,
    a,
    b,
    s: sum,
    t: relu(sum),
    y: last,
  })
  const plain = graphOf('a = Relu(x)', 'c = FusedConv(a)', 'z = Pool(c)')
  const nodes = plain.nodes.map((node) =>
    node.op === 'FusedConv' ? { ...node, attributes: { activation: 'Relu' } } : node,
  )
  const candidate = record({ ...plain, nodes }, { x, a, c: relu(b), z: y })
  const anchors = [{ referenceNode: 'Conv_1', candidateNode: 'FusedConv_1', folded: false }]
  const { divergence, causes } = compareBehaviour(reference, candidate, tight, anchors)
  expect([divergence?.referenceTensor, divergence?.candidateTensor]).toEqual(['s', 'c'])
  expect(causes[0]?.label).toBe('residual-missing')
})

test('parts of a concatenation in another order are told by where they come from', () => {
  const joined = array(1, 12, 5, 4)
  const reference = record(graphOf('a = Conv(x)', 'b = Relu(x)', 'c = Concat(a, b)'), { x, a, b, c: joined })
  const candidate = record(graphOf('p = Conv(x)', 'q = Relu(x)', 'r = Concat(q, p)'), {
    x,
    p: a,
    q: b,
    r: array(1, 12, 5, 4),
  })
  const { causes } = compareBehaviour(reference, candidate, tight)
  expect(causes[0]).toMatchObject({ label: 'concat-order', proved: true })
})

test('another constant per token is a position embedding', () => {
  const [tokens, table, other] = [array(1, 5, 4), array(1, 5, 4), array(1, 5, 4)]
  const more = scaled(tokens, 2)
  const plus = (left: ArrayValue, right: ArrayValue) => {
    const add = new Float32Array(right.bytes.slice().buffer)
    return float32Array(
      left.shape,
      new Float32Array(left.bytes.slice().buffer).map((number, at) => number + add[at]!),
    )
  }
  const graph = graphOf('t = Reshape(x)', 'y = Add(t, pos)')
  const reference = record(graph, { x, t: tokens, y: plus(tokens, table) }, { x, t: more, y: plus(more, table) })
  const candidate = record(graph, { x, t: tokens, y: plus(tokens, other) }, { x, t: more, y: plus(more, other) })
  expect(compareBehaviour(reference, candidate, tight).causes[0]?.label).toBe('position-embedding')
})

test('the same numbers in another shape are no factor of one', () => {
  const folded = array(1, 2, 3, 20)
  const reference = record(graphOf('g = Reshape(x)', 'y = Transpose(g)'), { x: y, g: { ...folded }, y: array(1, 120) })
  const candidate = record(graphOf('g = Reshape(x)', 'y = Transpose(g)'), {
    x: y,
    g: { ...folded, shape: [1, 3, 2, 20] },
    y: array(1, 120),
  })
  const { causes } = compareBehaviour(reference, candidate, tight)
  expect(causes.map(({ label }) => label)).toEqual(['channel-order', 'flatten-order'])
})

test('an output that is transposed at the end is judged in its own layout', () => {
  const picture = array(1, 4, 5, 6)
  const last = transpose(picture, [0, 2, 3, 1])
  const reference = record(graphOf('a = Relu(x)', 'y = Conv(a)'), { x, a, y: picture })
  const candidate = record(graphOf('a = Relu(x)', 'c = Conv(a)', 'y = Transpose(c)'), { x, a, c: picture, y: last })
  const { verdict, outputs } = compareBehaviour(reference, candidate, tight)
  expect([verdict, outputs[0]?.layout]).toEqual(['match', 'channels first -> channels last'])
})
