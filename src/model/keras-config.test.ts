import { describe, expect, test } from 'vitest'
import type { JsonValue } from '../encoding/json-value.ts'
import { parseCall } from './keras-calls.ts'
import { findKerasCode } from './keras-code.ts'
import { attachParameters, parseKerasConfig } from './keras-config.ts'
import { countedNames, roleOfName, roleOfVariable, weightRoles } from './keras-weights.ts'

const options = { file: 'm.h5', maxDepth: 100 }

const parse = (config: JsonValue) => parseKerasConfig(config, options)

/** `name op(inputs) -> outputs` for each node. */
const nodesOf = (config: JsonValue) =>
  parse(config).graph!.nodes.map(({ name, op, inputs, outputs }) => `${name} ${op}(${inputs}) -> ${outputs}`)

const layer = (className: string, name: string, inbound: JsonValue, config: Record<string, JsonValue> = {}) => ({
  class_name: className,
  name,
  config: { name, ...config },
  inbound_nodes: inbound,
})

const input = (name: string, shape: JsonValue = [null, 4]) =>
  layer('InputLayer', name, [], { batch_input_shape: shape })

const functional = (layers: JsonValue[], starts: JsonValue, ends: JsonValue, name = 'model') => ({
  class_name: 'Functional',
  config: { name, layers, input_layers: starts, output_layers: ends },
})

describe('forms of a call', () => {
  const isLayer = (name: string) => ['conv', 'add', 'mask'].includes(name)
  const check = (form: string, value: JsonValue, expected: string[], kwargs = {}) =>
    test(form, () => {
      const call = parseCall(value, isLayer)
      expect(call.refs.map((ref) => `${ref.layer}[${ref.call}:${ref.tensor}]`)).toEqual(expected)
      expect(call.kwargs).toEqual(kwargs)
    })
  const tensor = (name: string) => ({
    class_name: '__keras_tensor__',
    config: { shape: [null, 3], dtype: 'float32', keras_history: [name, 0, 1] },
  })
  check(
    'Keras 1 and 2',
    [
      ['conv', 0, 0, { training: false }],
      ['add', 1, 2, {}],
    ],
    ['conv[0:0]', 'add[1:2]'],
    {
      training: false,
    },
  )
  check('one input, flat', ['conv', 0, 0, {}], ['conv[0:0]'])
  check('dictionary', { left: ['conv', 0, 0, {}], right: ['add', 0, 0, {}] }, ['conv[0:0]', 'add[0:0]'])
  check(
    'operator with a tensor argument',
    [['conv', 0, 0, { y: ['add', 0, 0], name: null }]],
    ['conv[0:0]', 'add[0:0]'],
  )
  check(
    'Keras 3',
    { args: [[tensor('conv'), tensor('add')]], kwargs: { mask: null, training: true } },
    ['conv[0:1]', 'add[0:1]'],
    { training: true },
  )
  check('Keras 3, tensor by keyword', { args: [tensor('conv')], kwargs: { value: tensor('add') } }, [
    'conv[0:1]',
    'add[0:1]',
  ])
  check(
    'a list that only looks like one',
    [
      ['other', 0, 0],
      ['conv', -1, 0],
      ['conv', 0.5, 0],
    ],
    [],
  )
})

describe('models', () => {
  test('Sequential: Keras 1 (a bare list), Keras 2, Keras 3', () => {
    const dense = { class_name: 'Dense', config: { name: 'd', batch_input_shape: [null, 4] } }
    const relu = { class_name: 'Activation', config: { name: 'r' } }
    const expected = ['d Dense(d_input) -> d', 'r Activation(d) -> r']
    expect(nodesOf({ class_name: 'Sequential', config: [dense, relu] })).toEqual(expected)
    expect(nodesOf({ class_name: 'Sequential', config: { name: 's', layers: [dense, relu] } })).toEqual(expected)
    const explicit = { class_name: 'InputLayer', config: { name: 'x', batch_shape: [null, 4], dtype: 'float16' } }
    const { graph } = parse({ class_name: 'Sequential', config: { name: 's', layers: [explicit, dense, relu] } })
    expect(graph).toMatchObject({ name: 's', inputs: [{ name: 'x', shape: [null, 4], dtype: 'float16' }] })
    expect(graph!.nodes[0]!.inputs).toEqual(['x'])
    expect(graph!.outputs).toEqual([{ name: 'r' }])
  })

  test('shared layers, several inputs and outputs, calls before their layer in the file', () => {
    const config = functional(
      [
        layer('Concatenate', 'cat', [
          [
            ['d', 0, 0, {}],
            ['d', 1, 0, {}],
          ],
        ]),
        layer('Dense', 'd', [[['b', 0, 0, {}]], [['a', 0, 0, {}]]]),
        input('a'),
        input('b', [null, 2]),
      ],
      [
        ['b', 0, 0],
        ['a', 0, 0],
      ],
      [
        ['cat', 0, 0],
        ['d', 1, 0],
      ],
    )
    expect(nodesOf(config)).toEqual(['d Dense(b) -> d', 'd@1 Dense(a) -> d@1', 'cat Concatenate(d,d@1) -> cat'])
    const { graph, layers, warnings } = parse(config)
    expect(graph!.inputs.map(({ name }) => name)).toEqual(['b', 'a'])
    expect(graph!.outputs.map(({ name }) => name)).toEqual(['cat', 'd@1'])
    expect(layers.map(({ name }) => name)).toEqual(['cat', 'd', 'a', 'b'])
    expect(warnings).toEqual([])
  })

  test('nested models are expanded, once per call, with one set of weights', () => {
    const inner = functional(
      [input('in'), layer('Dense', 'd', [[['in', 0, 0, {}]]])],
      [['in', 0, 0]],
      [['d', 0, 0]],
      'inner',
    )
    const nested = { ...inner, name: 'inner', inbound_nodes: [[['a', 0, 0, {}]], [['inner', 1, 0, {}]]] }
    // A nested model's own creation counts as a call, so its outer calls are numbered from 1.
    const architecture = parse(functional([input('a'), nested], [['a', 0, 0]], [['inner', 2, 0]]))
    expect(architecture.graph!.nodes.map(({ name, inputs, scope }) => [name, inputs, scope])).toEqual([
      ['inner/d', ['a'], 'inner'],
      ['inner@1/d', ['inner/d'], 'inner@1'],
    ])
    expect(architecture.graph!.outputs).toEqual([{ name: 'inner@1/d' }])
    const graph = attachParameters(architecture, new Map([['inner/d', [{ role: 'kernel', tensor: 't' }]]]))
    expect(graph!.nodes.map(({ parameters }) => parameters)).toEqual([
      [{ role: 'kernel', tensor: 't' }],
      [{ role: 'kernel', tensor: 't' }],
    ])
  })

  test('further outputs of a layer; shapes from references and build configurations', () => {
    const config = functional(
      [
        input('x'),
        layer('LSTM', 'rnn', [[['x', 0, 0, {}]]]),
        { ...layer('Dense', 'd', [[['rnn', 0, 2, {}]]]), build_config: { input_shape: [null, 7] } },
      ],
      ['x', 0, 0],
      ['d', 0, 0],
    )
    expect(nodesOf(config)).toEqual(['rnn LSTM(x) -> rnn,rnn:1,rnn:2', 'd Dense(rnn:2) -> d'])
    expect(parse(config).graph!.values.get('rnn:2')).toEqual({ name: 'rnn:2', shape: [null, 7] })
  })

  test('a wrapped model becomes a subgraph, a wrapped layer stays an attribute', () => {
    const inner = {
      class_name: 'Sequential',
      config: { name: 's', layers: [{ class_name: 'Dense', config: { name: 'd' } }] },
    }
    const wrapped = (what: JsonValue) => ({
      class_name: 'Sequential',
      config: { name: 'm', layers: [{ class_name: 'TimeDistributed', config: { name: 't', layer: what } }] },
    })
    const [node] = parse(wrapped(inner)).graph!.nodes
    expect(node!.subgraphs!.layer!.nodes.map(({ name }) => name)).toEqual(['d'])
    expect(parse(wrapped({ class_name: 'Dense', config: {} })).graph!.nodes[0]!.subgraphs).toBeUndefined()
  })

  test('a subclassed model has no graph', () => {
    const { graph, className } = parse({ class_name: 'MyModel', config: { width: 3 } })
    expect([graph, className]).toEqual([undefined, 'MyModel'])
  })

  test('cycles and references to nothing are remarks, not hangs', () => {
    const cyclic = functional(
      [layer('A', 'a', [[['b', 0, 0, {}]]]), layer('B', 'b', [[['a', 0, 0, {}]]])],
      [],
      [['b', 0, 0]],
    )
    expect(parse(cyclic).warnings.map(({ code }) => code)).toEqual(['GRAPH_REFERENCE'])
    for (const odd of [null, 3, 'text', [], {}, { config: { layers: 'x' } }, { config: { layers: [{}] } }]) {
      expect(parse(odd as JsonValue).graph?.nodes ?? []).toEqual([])
    }
  })

  test('models that double at every level end at a limit', () => {
    let model: JsonValue = functional(
      [input('x'), layer('Dense', 'd', [[['x', 0, 0, {}]]])],
      [['x', 0, 0]],
      [['d', 0, 0]],
    )
    for (let level = 0; level < 18; level++) {
      const inner = { ...(model as object), name: 'n', inbound_nodes: [[['x', 0, 0, {}]], [['x', 0, 0, {}]]] }
      model = functional([input('x'), inner], [['x', 0, 0]], [['n', 1, 0]])
    }
    expect(() => parse(model)).toThrow(/m\.h5: Keras model configuration: expected at most 50000 layer calls/)
    let deep: JsonValue = {}
    for (let level = 0; level < 200_000; level++) deep = [deep]
    expect(() => parse(deep)).toThrow(/JSON nested at most 100 deep/)
  })
})

test('roles of numbered variables', () => {
  const check = (className: string, config: Record<string, JsonValue>, path: string, expected: string) =>
    expect(roleOfVariable({ className, config }, path.split('/'))).toBe(expected)
  check('Conv2D', {}, 'vars/1', 'bias')
  check('Conv2D', { use_bias: false }, 'vars/1', 'vars/1')
  check('BatchNormalization', { scale: false }, 'vars/0', 'beta')
  check('BatchNormalization', { scale: false, center: false }, 'vars/1', 'moving_variance')
  check('LSTM', {}, 'cell/vars/1', 'recurrent_kernel')
  check('MultiHeadAttention', {}, 'query_dense/vars/0', 'query_dense/kernel')
  check('TimeDistributed', { layer: { class_name: 'Dense', config: {} } }, 'layer/vars/0', 'kernel')
  check(
    'Bidirectional',
    { layer: { class_name: 'GRU', config: {} } },
    'forward_layer/cell/vars/2',
    'forward_layer/bias',
  )
  check('Dropout', {}, 'seed_generator/vars/0', 'seed_generator/state')
  check('Mine', {}, 'vars/3', 'vars/3')
  check('constructor', {}, 'vars/0', 'vars/0')
  expect(weightRoles({ className: 'EinsumDense', config: { bias_axes: null } })).toEqual(['kernel'])
})

test('roles of named variables', () => {
  expect(roleOfName(['kernel:0'])).toBe('kernel')
  expect(roleOfName(['lstm_cell_3', 'recurrent_kernel:0'])).toBe('recurrent_kernel')
  expect(roleOfName(['query', 'kernel:0'])).toBe('query/kernel')
  expect(roleOfName([])).toBe('weight')
})

test('folders are counted by class, as Keras does', () => {
  expect(countedNames(['Conv2D', 'ReLU', 'Conv2D', 'PReLU', 'LSTM', 'Conv2D', 'TFOpLambda'])).toEqual([
    'conv2d',
    're_lu',
    'conv2d_1',
    'p_re_lu',
    'lstm',
    'conv2d_2',
    'tf_op_lambda',
  ])
})

test('code that is not Keras', () => {
  const bytecode = { class_name: '__lambda__', config: { code: '4wEA', defaults: null, closure: null } }
  const found = findKerasCode([
    { class_name: 'Dense', module: 'keras.layers', config: { name: 'd' }, registered_name: null },
    { class_name: 'Lambda', config: { name: 'old', function: ['4wEA', null, null], function_type: 'lambda' } },
    { class_name: 'Lambda', config: { name: 'new', function: bytecode } },
    { class_name: 'Block', module: 'shop.layers', config: {}, registered_name: 'Block' },
    { class_name: 'Block', module: 'shop.layers', config: {}, registered_name: 'Block' },
    { class_name: 'Cell', module: 'shop', config: {}, registered_name: 'Shop>Cell' },
    { class_name: 'Main', module: null, config: {}, registered_name: 'Main' },
    { class_name: 'function', module: 'shop.loss', config: 'focal', registered_name: 'function' },
  ])
  expect(found.map(({ name, kind, count }) => `${kind} ${name} x${count}`)).toEqual([
    'dangerous Lambda layer "old" x1',
    'dangerous Lambda layer "new" x1',
    'unknown shop.layers.Block x2',
    'unknown Shop>Cell x1',
    'unknown Main x1',
    'unknown shop.loss.focal x1',
  ])
})
