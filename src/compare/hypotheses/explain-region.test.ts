import { afterAll, expect, test } from 'vitest'
import { type Line, programOf } from '../../../test/build/onnx-program.ts'
import { openFragmentRunner } from '../../execute/run-fragment.ts'
import { wholeProgram } from '../../onnx/write-fragment.ts'
import { type ArrayValue, float32Array, numbersOf, transpose } from '../../tensor/array-value.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { normal, seededRandom } from '../random.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { flipped, integers, mapArray, scalar, takeAlong } from './arrays.ts'
import { explainRegion, type Hint } from './explain-region.ts'
import type { FaultyRegion } from './faulty-region.ts'
import { takeBlocks } from './weight-relation.ts'

type Constants = Readonly<Record<string, ArrayValue>>

interface Side {
  readonly nodes: readonly Line[]
  readonly constants?: Constants
}

interface Planted {
  readonly what: string
  readonly label: CauseLabel
  readonly inputs: Constants
  readonly reference: Side
  readonly candidate: Side
  /** a part of the repair in words */
  readonly fix?: RegExp
}

const runner = openFragmentRunner()
afterAll(() => runner.close())

/** Seeded normal values. */
function random(shape: readonly number[], seed: number, scale = 1, offset = 0): ArrayValue {
  const next = seededRandom(seed)
  return float32Array(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => offset + scale * normal(next)),
  )
}

/** The whole of both programs as one region, on two inputs. */
async function regionOf({ inputs, reference, candidate }: Pick<Planted, 'inputs' | 'reference' | 'candidate'>) {
  const [left, right] = [reference, candidate].map(({ nodes, constants = {} }) => programOf(nodes, constants, inputs))
  const feeds = [0, 1].map(
    (run) =>
      new Map(
        Object.entries(inputs).map(([name, value]) => [
          name,
          value.dtype === 'float32' && run === 1 ? random(value.shape, 77, 1.3) : value,
        ]),
      ),
  )
  const whole = wholeProgram(left!)
  const outputs = left!.graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== ''))
  const recorded = await runner.run(left!, { ...whole, outputs }, feeds)
  const pair = (mine: string, theirs: string) => ({
    reference: mine,
    candidate: theirs,
    layout: 'same',
    found: 'name' as const,
    confidence: 1,
  })
  const faulty: FaultyRegion = {
    region: {
      at: pair(left!.graph.outputs[0]!.name, right!.graph.outputs[0]!.name),
      cut: Object.keys(inputs).map((name) => pair(name, name)),
      referenceNodes: left!.graph.nodes,
      candidateNodes: right!.graph.nodes,
    },
    reference: left!,
    candidate: right!,
    values: recorded.map((values, run) => new Map([...feeds[run]!, ...values])),
    run: runner.run,
    tolerance: 1e-6,
  }
  return faulty
}

const explain = async (planted: Pick<Planted, 'inputs' | 'reference' | 'candidate'>, hints?: readonly Hint[]) =>
  explainRegion(await regionOf(planted), hints)

// ---- parts ----

const picture = { x: random([1, 8, 9, 9], 1) }
const photo = { x: random([1, 3, 12, 12], 1) }
const tokens = { x: random([1, 9, 16], 2) }
const kernel = random([8, 8, 3, 3], 3, 0.2)
const bias = random([8], 4)
const norm = {
  g: random([8], 5, 0.2, 1),
  b: random([8], 6, 0.3),
  m: random([8], 7, 0.3),
  v: mapArray(random([8], 8), (value) => 0.02 + value * value),
}
const square = random([16, 16], 9, 0.25)
const conv = (attributes: object = {}): Line => ['Conv x,w,c -> y', { pads: [1, 1, 1, 1], ...attributes }]
const weights = { w: kernel, c: bias }
const filters = (value: ArrayValue, name = 'w') => ({ ...weights, [name]: value })

/** conv and BatchNorm with some epsilon, folded into one. */
function folded(epsilon: number, statistics = norm, weight = kernel): Constants {
  const [g, b, m, v, w] = [statistics.g, statistics.b, statistics.m, statistics.v, weight].map(numbersOf)
  const factor = Array.from(g!, (value, at) => value / Math.sqrt(v![at]! + epsilon))
  return {
    w: mapArray(weight, (_, at) => w![at]! * factor[Math.floor(at / 72)]!),
    c: mapArray(statistics.b, (_, at) => (numbersOf(bias)[at]! - m![at]!) * factor[at]! + b![at]!),
  }
}

const convNorm: Side = {
  nodes: [conv(), ['BatchNormalization y,g,b,m,v -> z', { epsilon: 1e-5 }]],
  constants: { ...weights, ...norm },
}
const single = (line: Line, constants: Constants = {}): Side => ({ nodes: [line], constants })
const unary = (op: string, attributes = {}): Side => single([`${op} x -> y`, attributes])
const scores = (scale: number): Side => ({
  nodes: [['MatMul x,t -> s'], ['Mul s,k -> r'], ['Softmax r -> p', { axis: -1 }]],
  constants: { t: square, k: scalar(scale) },
})

const lstm = (direction = 'forward'): Line => ['LSTM x,W,R,B -> y', { hidden_size: 4, direction }]
const gates = { W: random([1, 16, 6], 21, 0.5), R: random([1, 16, 4], 22, 0.5), B: random([1, 32], 23, 0.5) }
const sequence = { x: random([7, 1, 6], 24) }

const FAULTS: readonly Planted[] = [
  // stated by both files
  {
    what: 'epsilon of a BatchNorm',
    label: 'bn-epsilon',
    inputs: { y: picture.x },
    reference: single(['BatchNormalization y,g,b,m,v -> z', { epsilon: 1e-5 }], norm),
    candidate: single(['BatchNormalization y,g,b,m,v -> z', { epsilon: 1e-3 }], norm),
    fix: /set epsilon=0.00001 in BatchNormalization "BatchNormalization_0"/,
  },
  {
    what: 'pads at the end',
    label: 'padding',
    inputs: picture,
    reference: single(conv({ strides: [2, 2] }), weights),
    candidate: single(conv({ strides: [2, 2], pads: [0, 0, 2, 2] }), weights),
    fix: /set pads=\[1, 1, 1, 1\]/,
  },
  {
    what: 'a stride',
    label: 'stride',
    inputs: picture,
    reference: single(conv({ strides: [2, 2] }), weights),
    candidate: single(conv(), weights),
  },
  {
    what: 'a dilation',
    label: 'dilation',
    inputs: picture,
    reference: single(conv({ dilations: [2, 2], pads: [2, 2, 2, 2] }), weights),
    candidate: single(conv(), weights),
  },
  {
    what: 'count_include_pad',
    label: 'pooling-count-include-pad',
    inputs: picture,
    reference: unary('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
    candidate: unary('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  },
  {
    what: 'ceil_mode',
    label: 'pooling-ceil-mode',
    inputs: { x: random([1, 4, 8, 8], 1) },
    reference: unary('MaxPool', { kernel_shape: [3, 3], strides: [2, 2] }),
    candidate: unary('MaxPool', { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  },
  {
    what: 'maximum for average',
    label: 'pooling-type',
    inputs: picture,
    reference: unary('MaxPool', { kernel_shape: [3, 3] }),
    candidate: unary('AveragePool', { kernel_shape: [3, 3] }),
  },
  {
    what: 'a slope',
    label: 'activation-parameter',
    inputs: picture,
    reference: unary('LeakyRelu', { alpha: 0.1 }),
    candidate: unary('LeakyRelu', { alpha: 0.01 }),
    fix: /alpha=0.1/,
  },
  {
    what: 'bounds of a clip',
    label: 'clip-range',
    inputs: picture,
    reference: single(['Clip x,l,h -> y'], { l: scalar(0), h: scalar(1.5) }),
    candidate: single(['Clip x,l,h -> y'], { l: scalar(0), h: scalar(1) }),
  },
  {
    what: 'axis of a softmax',
    label: 'softmax-axis',
    inputs: tokens,
    reference: unary('Softmax', { axis: -1 }),
    candidate: unary('Softmax', { axis: 1 }),
  },
  {
    what: 'coordinates of a resize',
    label: 'resize-coordinates',
    inputs: picture,
    reference: single(['Resize x,,s -> y', { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }], {
      s: float32Array([4], Float32Array.of(1, 1, 2, 2)),
    }),
    candidate: single(['Resize x,,s -> y', { mode: 'linear', coordinate_transformation_mode: 'asymmetric' }], {
      s: float32Array([4], Float32Array.of(1, 1, 2, 2)),
    }),
  },
  {
    what: 'mode of a resize',
    label: 'resize-mode',
    inputs: picture,
    reference: single(['Resize x,,s -> y', { mode: 'linear' }], { s: float32Array([4], Float32Array.of(1, 1, 2, 2)) }),
    candidate: single(['Resize x,,s -> y', { mode: 'nearest', nearest_mode: 'floor' }], {
      s: float32Array([4], Float32Array.of(1, 1, 2, 2)),
    }),
  },
  {
    what: 'direction of a recurrent layer',
    label: 'sequence-order',
    inputs: sequence,
    reference: single(lstm(), gates),
    candidate: single(lstm('reverse'), gates),
  },
  {
    what: 'order of a concatenation',
    label: 'concat-order',
    inputs: { x: picture.x, z: random([1, 8, 9, 9], 12) },
    reference: single(['Concat x,z -> y', { axis: 1 }]),
    candidate: single(['Concat z,x -> y', { axis: 1 }]),
  },
  {
    what: 'pixels into space',
    label: 'channel-order',
    inputs: picture,
    reference: unary('DepthToSpace', { blocksize: 2, mode: 'DCR' }),
    candidate: unary('DepthToSpace', { blocksize: 2, mode: 'CRD' }),
  },
  // weights
  {
    what: 'a kernel rotated',
    label: 'kernel-flipped',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: single(conv(), filters(flipped(kernel, [2, 3]))),
    fix: /rotate the kernel/,
  },
  {
    what: 'colours reversed',
    label: 'input-channel-order',
    inputs: photo,
    reference: single(conv(), { w: random([8, 3, 3, 3], 3), c: bias }),
    candidate: single(conv(), { w: flipped(random([8, 3, 3, 3], 3), [1]), c: bias }),
  },
  {
    what: 'a weight transposed',
    label: 'weight-transposed',
    inputs: tokens,
    reference: single(['MatMul x,t -> y'], { t: square }),
    candidate: single(['MatMul x,t -> y'], { t: transpose(square, [1, 0]) }),
  },
  {
    what: 'filters permuted',
    label: 'weight-permuted',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: single(conv(), filters(takeAlong(kernel, 0, [1, 0, 2, 3, 4, 5, 6, 7]))),
  },
  {
    what: 'a weight rounded to few levels',
    label: 'weight-quantised',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: single(conv(), filters(mapArray(kernel, (value) => Math.round(value * 8) / 8))),
  },
  {
    what: 'another weight',
    label: 'weight-stale',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: single(conv(), filters(random([8, 8, 3, 3], 33, 0.2))),
  },
  {
    what: 'a bias of zero',
    label: 'bias-missing',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: single(
      conv(),
      filters(
        mapArray(bias, () => 0),
        'c',
      ),
    ),
  },
  {
    what: 'no bias',
    label: 'bias-missing',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: single(['Conv x,w -> y', { pads: [1, 1, 1, 1] }], { w: kernel }),
  },
  {
    what: 'statistics not loaded',
    label: 'bn-statistics',
    inputs: { y: picture.x },
    reference: single(['BatchNormalization y,g,b,m,v -> z'], norm),
    candidate: single(['BatchNormalization y,g,b,m,v -> z'], {
      ...norm,
      m: mapArray(norm.m, () => 0),
      v: mapArray(norm.v, () => 1),
    }),
  },
  {
    what: 'a shift not loaded',
    label: 'bn-affine',
    inputs: { y: picture.x },
    reference: single(['BatchNormalization y,g,b,m,v -> z'], norm),
    candidate: single(['BatchNormalization y,g,b,m,v -> z'], { ...norm, b: mapArray(norm.b, () => 0) }),
  },
  {
    what: 'gates in another order',
    label: 'lstm-gate-order',
    inputs: sequence,
    reference: single(lstm(), gates),
    candidate: single(lstm(), {
      W: takeBlocks(gates.W, 1, [0, 2, 1, 3], 4),
      R: takeBlocks(gates.R, 1, [0, 2, 1, 3], 4),
      B: takeBlocks(gates.B, 1, [0, 2, 1, 3], 4),
    }),
  },
  {
    what: 'a position embedding rolled',
    label: 'position-embedding',
    inputs: tokens,
    reference: single(['Add x,p -> y'], { p: random([1, 9, 16], 41) }),
    candidate: single(['Add x,p -> y'], { p: takeAlong(random([1, 9, 16], 41), 1, [8, 0, 1, 2, 3, 4, 5, 6, 7]) }),
  },
  // structure
  {
    what: 'an activation left out',
    label: 'activation-missing',
    inputs: picture,
    reference: { nodes: [conv(), ['Relu y -> z']], constants: weights },
    candidate: single(conv(), weights),
  },
  {
    what: 'an activation too much',
    label: 'activation-extra',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: { nodes: [conv(), ['Relu y -> z']], constants: weights },
  },
  {
    what: 'a skip connection left out',
    label: 'residual-missing',
    inputs: picture,
    reference: { nodes: [conv(), ['Add x,y -> z']], constants: weights },
    candidate: single(conv(), weights),
  },
  {
    what: 'a shuffle left out',
    label: 'channel-order',
    inputs: picture,
    reference: {
      nodes: [['Reshape x,a -> q'], ['Transpose q -> r', { perm: [0, 2, 1, 3, 4] }], ['Reshape r,d -> y']],
      constants: { a: integers([1, 2, 4, 9, 9]), d: integers([1, 8, 9, 9]) },
    },
    candidate: unary('Identity'),
  },
  {
    what: 'a factor that dropout leaves',
    label: 'dropout-active',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: { nodes: [conv(), ['Mul y,k -> z']], constants: { ...weights, k: scalar(1 / 0.9) } },
  },
  // fused, folded, written out
  {
    what: 'a BatchNorm folded with another epsilon',
    label: 'bn-epsilon',
    inputs: picture,
    reference: convNorm,
    candidate: single(conv(), folded(1e-3)),
    fix: /epsilon=0.00001/,
  },
  {
    what: 'a BatchNorm folded with no statistics',
    label: 'bn-statistics',
    inputs: picture,
    reference: convNorm,
    candidate: single(conv(), folded(1e-5, { ...norm, m: mapArray(norm.m, () => 0), v: mapArray(norm.v, () => 1) })),
  },
  {
    what: 'a rotated kernel behind folding',
    label: 'kernel-flipped',
    inputs: picture,
    reference: convNorm,
    candidate: single(conv(), folded(1e-5, norm, flipped(kernel, [2, 3]))),
  },
  {
    what: 'another kernel behind folding',
    label: 'weight-stale',
    inputs: picture,
    reference: convNorm,
    candidate: single(conv(), folded(1e-5, norm, random([8, 8, 3, 3], 33, 0.2))),
  },
  {
    what: 'GELU by tanh, written out',
    label: 'activation-type',
    inputs: tokens,
    reference: {
      nodes: [['Div x,r -> a'], ['Erf a -> e'], ['Add e,one -> f'], ['Mul x,f -> g'], ['Mul g,half -> y']],
      constants: { r: scalar(Math.SQRT2), one: scalar(1), half: scalar(0.5) },
    },
    candidate: {
      nodes: [
        ['Mul x,x -> a'],
        ['Mul a,x -> b'],
        ['Mul b,k -> d'],
        ['Add x,d -> e'],
        ['Mul e,s -> f'],
        ['Tanh f -> g'],
        ['Add g,one -> h'],
        ['Mul x,h -> i'],
        ['Mul i,half -> y'],
      ],
      constants: { k: scalar(0.044715), s: scalar(Math.sqrt(2 / Math.PI)), one: scalar(1), half: scalar(0.5) },
    },
  },
  {
    what: 'epsilon of a LayerNorm that is written out',
    label: 'layernorm-epsilon',
    inputs: { x: random([1, 9, 16], 2, 0.05) },
    reference: single(['LayerNormalization x,g,b -> y', { epsilon: 1e-5 }], {
      g: random([16], 51, 0.1, 1),
      b: random([16], 52),
    }),
    candidate: {
      nodes: [
        ['ReduceMean x -> m', { axes: [-1] }],
        ['Sub x,m -> d'],
        ['Mul d,d -> q'],
        ['ReduceMean q -> v', { axes: [-1] }],
        ['Add v,e -> w'],
        ['Sqrt w -> s'],
        ['Div d,s -> n'],
        ['Mul n,g -> o'],
        ['Add o,b -> y'],
      ],
      constants: { e: scalar(1e-3), g: random([16], 51, 0.1, 1), b: random([16], 52) },
    },
  },
  {
    what: 'a fused activation with another slope',
    label: 'activation-parameter',
    inputs: picture,
    reference: { nodes: [conv(), ['LeakyRelu y -> z', { alpha: 0.1 }]], constants: weights },
    candidate: single(
      ['com.microsoft:FusedConv x,w,c -> y', { pads: [1, 1, 1, 1], activation: 'LeakyRelu', activation_params: [0.3] }],
      weights,
    ),
  },
  {
    what: 'scores not scaled',
    label: 'attention-scale',
    inputs: tokens,
    reference: scores(0.25),
    candidate: { nodes: [['MatMul x,t -> s'], ['Softmax s -> p', { axis: -1 }]], constants: { t: square } },
  },
  {
    what: 'another factor of the scores',
    label: 'attention-scale',
    inputs: tokens,
    reference: scores(0.25),
    candidate: scores(0.0625),
  },
  {
    what: 'flattened in another order',
    label: 'flatten-order',
    inputs: picture,
    reference: unary('Flatten', { axis: 1 }),
    candidate: {
      nodes: [
        ['Transpose x -> t', { perm: [0, 2, 3, 1] }],
        ['Flatten t -> y', { axis: 1 }],
      ],
    },
  },
  {
    what: 'rounded to half precision on the way',
    label: 'dtype-cast',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: { nodes: [conv(), ['Cast y -> h', { to: 10 }], ['Cast h -> z', { to: 1 }]], constants: weights },
  },
  {
    what: 'a picture divided by other numbers',
    label: 'input-normalisation',
    inputs: photo,
    reference: single(['Div x,k -> y'], { k: scalar(0.226) }),
    candidate: single(['Div x,k -> y'], { k: scalar(0.5) }),
  },
  {
    what: 'padding mirrored',
    label: 'padding',
    inputs: picture,
    reference: single(conv(), weights),
    candidate: {
      nodes: [
        ['Pad x,p -> q', { mode: 'reflect' }],
        ['Conv q,w,c -> y', {}],
      ],
      constants: { ...weights, p: integers([0, 0, 1, 1, 0, 0, 1, 1]) },
    },
  },
  {
    what: 'a causal mask too much',
    label: 'attention-mask',
    inputs: { x: random([1, 9, 9], 2) },
    reference: { nodes: [['Mul x,k -> r'], ['Softmax r -> p', { axis: -1 }]], constants: { k: scalar(0.5) } },
    candidate: {
      nodes: [['Mul x,k -> r'], ['Add r,a -> s'], ['Softmax s -> p', { axis: -1 }]],
      constants: {
        k: scalar(0.5),
        a: mapArray(random([9, 9], 1), (_, at) => (at % 9 > Math.floor(at / 9) ? -1e9 : 0)),
      },
    },
  },
]

test.each(FAULTS)('$label: $what', async (planted) => {
  const [first] = await explain(planted)
  expect(first).toMatchObject({ label: planted.label, proved: true })
  expect(first!.after).toBeLessThan(first!.before!)
  if (planted.fix) expect(first!.fix).toMatch(planted.fix)
})

test('several differences in one operator are all named, together', async () => {
  const causes = await explain({
    inputs: picture,
    reference: {
      nodes: [conv(), ['BatchNormalization y,g,b,m,v -> z', { epsilon: 1e-5 }]],
      constants: { ...weights, ...norm },
    },
    candidate: {
      nodes: [conv(), ['BatchNormalization y,g,b,m,v -> z', { epsilon: 1e-2 }]],
      constants: { ...weights, w: flipped(kernel, [2, 3]), ...norm },
    },
  })
  const proved = causes.filter((cause) => cause.proved).map(({ label }) => label)
  expect(proved.sort()).toEqual(['bn-epsilon', 'kernel-flipped'])
})

test('what is no hypothesis is not called proved', async () => {
  const causes = await explain({
    inputs: picture,
    reference: single(conv(), weights),
    candidate: { nodes: [conv(), ['Sin y -> s'], ['Mul s,x -> z']], constants: weights },
  })
  expect(causes.filter(({ proved, label }) => proved && label !== 'layer-extra')).toEqual([])
  const other = await explain({
    inputs: picture,
    reference: unary('Relu'),
    candidate: { nodes: [['Exp x -> a'], ['Sin a -> b'], ['Add b,x -> y']] },
  })
  expect(other.filter(({ proved }) => proved)).toEqual([])
})

test('a region that computes the same, written otherwise, has no cause', async () => {
  const causes = await explain({
    inputs: picture,
    reference: unary('HardSwish'),
    candidate: {
      nodes: [['HardSigmoid x -> g', { alpha: 1 / 6, beta: 0.5 }], ['Mul x,g -> y']],
    },
  })
  expect(causes).toMatchObject([{ label: 'unknown', proved: false }])
})

test('agreement on the recorded inputs alone is no proof: disturbed ones tell ReLU from ReLU6', async () => {
  const small = { x: mapArray(picture.x, (value) => value / 4) }
  const faulty = await regionOf({
    inputs: small,
    reference: single(['Clip x,l,h -> y'], { l: scalar(0), h: scalar(6) }),
    candidate: unary('LeakyRelu', { alpha: 0.01 }),
  })
  const causes = await explainRegion(faulty)
  const [first] = causes
  expect(first).toMatchObject({ label: 'activation-type', proved: true })
  // ReLU6 is what the reference has; a plain ReLU would agree on what was recorded
  expect(first!.fix).toMatch(/ReLU6|Clip/)
})

test('a region that cannot run alone keeps what others suspect, unproved', async () => {
  const planted = { inputs: picture, reference: unary('Relu'), candidate: unary('NoSuchOperator') }
  const causes = await explain(planted, [{ label: 'activation-type', confidence: 0.8, detail: 'another operator' }])
  expect(causes).toMatchObject([{ label: 'activation-type', proved: false, detail: 'another operator' }])
})
