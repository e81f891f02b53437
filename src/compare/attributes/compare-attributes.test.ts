import { describe, expect, test } from 'vitest'
import type { Layer } from '../../layers/layer.ts'
import { compareAttributes } from './compare-attributes.ts'

/** A chain of layers, each fed by the one before; a layer named like its kind and place. */
function chain(...parts: Partial<Layer>[]): Layer[] {
  return parts.map((part, at) => ({
    name: `${part.kind}${at}`,
    kind: 'other',
    op: '',
    weights: [],
    attributes: {},
    inputs: [at === 0 ? 'image' : `v${at - 1}`],
    outputs: [`v${at}`],
    inputShapes: [undefined],
    outputShapes: [undefined],
    ...part,
  }))
}

const conv = (attributes: Layer['attributes'] = {}, size?: number): Partial<Layer> => ({
  kind: 'conv',
  attributes: { kernelSize: [3, 3], strides: [1, 1], dilations: [1, 1], dataFormat: 'channels-first', ...attributes },
  inputShapes: [size === undefined ? undefined : [1, 8, size, size]],
})
const pads = (before: number, behind = before) => ({ begin: [before, before], end: [behind, behind] })
const act = (name: string, attributes: Layer['attributes'] = {}): Partial<Layer> => ({
  kind: 'activation',
  attributes: { function: name, ...attributes },
})
const pool = (attributes: Layer['attributes'], size = 9): Partial<Layer> => ({
  ...conv(
    { kernelSize: [2, 2], strides: [2, 2], padding: 'valid', ceilMode: false, function: 'max', ...attributes },
    size,
  ),
  kind: 'pool',
})

const isAnchor = ({ kind }: Layer) => kind === 'conv' || kind === 'dense' || kind === 'batch-norm'

/** Labels found; layers with weights correspond in order. A `?` marks what decides nothing. */
function check(name: string, reference: Partial<Layer>[], candidate: Partial<Layer>[], expected: string[]) {
  test(name, () => {
    const [left, right] = [chain(...reference), chain(...candidate)]
    const others = right.filter(isAnchor)
    const pairs = left.filter(isAnchor).map((layer, at) => ({ reference: layer, candidate: others[at]! }))
    const causes = compareAttributes({ layers: left, framework: 'pytorch' }, { layers: right }, pairs)
    expect(
      causes.map(({ label, decides, referenceLayer }) => `${label}${decides ? '' : '?'} at ${referenceLayer}`),
    ).toEqual(expected)
  })
}

describe('padding', () => {
  check('same with stride 1 is explicit', [conv({ padding: pads(1) })], [conv({ padding: 'same-upper' })], [])
  check(
    'same with stride 2 pads behind on even sizes',
    [conv({ padding: pads(1), strides: [2, 2] }, 16)],
    [conv({ padding: 'same-upper', strides: [2, 2] }, 16)],
    ['padding at conv0'],
  )
  check(
    'and alike on odd ones',
    [conv({ padding: pads(1), strides: [2, 2] }, 15)],
    [conv({ padding: 'same-upper', strides: [2, 2] }, 15)],
    [],
  )
  check(
    'unknown sizes decide nothing',
    [conv({ padding: pads(1), strides: [2, 2] })],
    [conv({ padding: 'same-upper', strides: [2, 2] })],
    ['padding? at conv0'],
  )
  check(
    'a pad before valid is explicit padding',
    [conv({ padding: pads(1), strides: [2, 2] }, 16)],
    [{ kind: 'pad', attributes: { padding: pads(1) } }, conv({ padding: 'valid', strides: [2, 2] }, 18)],
    [],
  )
  check(
    'a pad in NHWC, transposed before the convolution',
    [conv({ padding: pads(1) }, 16)],
    [
      { kind: 'pad', attributes: { padding: { begin: [0, 1, 1, 0], end: [0, 1, 1, 0] } } },
      { kind: 'transpose', attributes: { permutation: [0, 3, 1, 2] } },
      conv({ padding: 'valid' }, 18),
    ],
    [],
  )
  check(
    'rows behind the last window do not matter',
    [conv({ padding: pads(1), strides: [2, 2] }, 16)],
    [conv({ padding: pads(1, 0), strides: [2, 2] }, 16)],
    [],
  )
  check(
    'a pad of computed size is not judged',
    [conv({ padding: pads(1) }, 16)],
    [{ kind: 'pad' }, conv({ padding: 'valid' })],
    [],
  )
})

describe('numbers', () => {
  check('stride', [conv({ strides: [2, 2] })], [conv()], ['stride at conv0'])
  check('dilation', [conv({ dilations: [2, 2] })], [conv()], ['dilation at conv0'])
  check('groups', [conv({ groups: 2 })], [conv({ groups: 1 })], ['groups at conv0'])
  const norm = (epsilon?: number): Partial<Layer> => ({ kind: 'batch-norm', attributes: epsilon ? { epsilon } : {} })
  check('epsilon', [conv(), norm(1e-5)], [conv(), norm(1e-3)], ['bn-epsilon at batch-norm1'])
  check('epsilon as float32 holds it', [conv(), norm(9.999999747378752e-6)], [conv(), norm(1e-5)], [])
  check(
    'epsilon unlike the default of a file that states none',
    [conv(), norm()],
    [conv(), norm(1e-3)],
    ['bn-epsilon? at batch-norm1'],
  )
})

describe('activations', () => {
  const between = (...layers: Partial<Layer>[]) => [conv(), ...layers, conv()]
  check('fused or apart', between(act('relu')), [{ ...conv(), fusedActivation: 'relu' }, conv()], [])
  check('clip to 0..6 is relu6', between(act('relu6')), between(act('clip', { clipRange: [0, 6] })), [])
  check('swish is silu', between(act('swish')), between(act('silu')), [])
  check('missing', between(act('relu')), between(), ['activation-missing at activation1'])
  check('extra', between(), between(act('relu')), ['activation-extra at conv1'])
  check('another', between(act('relu')), between(act('relu6')), ['activation-type at activation1'])
  check('another slope', between(act('leaky-relu', { alpha: 0.1 })), between(act('leaky-relu', { alpha: 0.3 })), [
    'activation-parameter at activation1',
  ])
  check(
    'hidden in operators that are not understood',
    between(act('hard-swish')),
    between({ kind: 'other', op: 'Clip3' }),
    [],
  )
  check(
    'a BatchNorm in between is judged elsewhere',
    between({ kind: 'batch-norm' }, act('relu')),
    between({ kind: 'batch-norm' }, act('relu')),
    [],
  )
  check('at the output', [conv(), { kind: 'softmax' }], [conv()], ['activation-missing at softmax1'])
})

describe('pools', () => {
  const between = (...layers: Partial<Layer>[]) => [conv(), ...layers, conv()]
  check('order of ReLU and max pool', between(act('relu'), pool({})), between(pool({}), act('relu')), [])
  check('type', between(pool({})), between(pool({ function: 'average' })), ['pooling-type at pool1'])
  check('rounding on odd sizes', between(pool({ ceilMode: true })), between(pool({})), ['pooling-ceil-mode at pool1'])
  check('rounding on even sizes', between(pool({ ceilMode: true }, 8)), between(pool({}, 8)), [])
  check(
    'same gives what rounding up gives',
    between(pool({ ceilMode: true })),
    between(pool({ padding: 'same-upper' })),
    [],
  )
  const average = (countIncludePad: boolean) =>
    pool({ function: 'average', kernelSize: [3, 3], padding: pads(1), countIncludePad })
  check('padding counted', between(average(true)), between(average(false)), ['pooling-count-include-pad at pool1'])
})

check(
  'another upper bound of a clip, where one of them is ReLU6',
  [conv(), act('relu6', { clipRange: [0, 6] }), conv()],
  [conv(), act('clip', { clipRange: [0, 5] }), conv()],
  ['clip-range at activation1'],
)
check(
  'ReLU for ReLU6 is another activation',
  [conv(), act('relu6', { clipRange: [0, 6] }), conv()],
  [conv(), act('relu'), conv()],
  ['activation-type at activation1'],
)

check('Keras spells hard swish hard_silu', [conv(), act('hard-swish'), conv()], [conv(), act('hard_silu'), conv()], [])
check(
  'a hard sigmoid written with ReLU6 is no other activation',
  [conv(), act('hard-sigmoid'), conv()],
  [conv(), act('relu6'), conv()],
  [],
)
const resize = (mode: string): Partial<Layer> => ({ kind: 'resize', attributes: { resizeMode: mode } })
check('bilinear is linear', [conv(), resize('linear'), conv()], [conv(), resize('bilinear'), conv()], [])
check(
  'nearest is not',
  [conv(), resize('linear'), conv()],
  [conv(), resize('nearest'), conv()],
  ['resize-mode at resize1'],
)

/** A value of an earlier layer, by its place in the chain. */
const from = (...places: number[]) => ({ inputs: places.map((at) => `v${at}`) })
const multiply = (...places: number[]): Partial<Layer> => ({ kind: 'multiply', ...from(...places) })
const silu = [conv(), act('sigmoid'), multiply(0, 1), conv()]
check('x sigmoid(x) is SiLU', silu, [conv(), act('swish'), conv()], [])
check('x sigmoid(x) is not ReLU', silu, [conv(), act('relu'), conv()], ['activation-type at multiply2'])
check(
  'a product that is not understood hides what is absent',
  [conv(), act('softplus'), act('tanh'), multiply(0, 2), conv()],
  [conv(), act('mish'), conv()],
  [],
)
const scaled: Partial<Layer>[] = [
  { kind: 'other', op: 'VarHandleOp', inputs: [] },
  { kind: 'other', op: 'ReadVariableOp', inputs: ['v0'] },
  { ...conv(), inputs: ['image'] },
  multiply(2, 1),
]
check(
  'a product with a variable is passed by',
  [conv(), act('relu'), conv()],
  [...scaled, act('relu6'), conv()],
  ['activation-type at activation1'],
)

const residual = (...summands: number[]): Partial<Layer>[] => [
  conv(),
  conv(),
  { kind: 'add', ...from(...summands) },
  act('relu'),
  conv(),
]
check(
  'a sum of which one summand is left',
  residual(1, 0),
  [conv(), conv(), act('relu'), conv()],
  ['residual-missing at add2'],
)
check('summands may change places', residual(1, 0), residual(0, 1), [])

const concat = (...parts: number[]): Partial<Layer>[] => [
  conv(),
  { ...conv(), inputs: ['image'] },
  { kind: 'concat', ...from(...parts) },
  conv(),
]
check('parts of a concatenation may not', concat(0, 1), concat(1, 0), ['concat-order at concat2'])
check('and here they did not', concat(0, 1), concat(0, 1), [])
