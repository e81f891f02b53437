import { describe, expect, test } from 'vitest'
import { concat, field, floats, number } from '../../../test/build/protobuf.ts'
import { describeConformance, readAll, type Sample } from '../../../test/conformance.ts'
import { readFixtures } from '../../../test/read-folder.ts'
import { sharedModel, sharedTest } from '../../../test/shared-models.ts'
import { openInput } from '../../host/open-input.ts'
import { readModel } from '../../tasks/open-model.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { tfGraphDef } from './graph-def.ts'

const files = readFixtures('graphdef')
const metas = readFixtures('tf-checkpoint', /^tf1-v2\.meta$/)
const sample = (main: string, from = files): Sample => ({ files: { [main]: from[main]! }, main })

const ends = 'a message may end between two fields: nodes that are cut away leave a smaller graph'

describe('conformance', () => {
  const binary = { 'constants.pb': sample('constants.pb'), 'frozen.pb': sample('frozen.pb') }
  describeConformance(tfGraphDef, binary, { mayReadCut: ends })
  describeConformance(tfGraphDef, { 'frozen.pbtxt': sample('frozen.pbtxt') }, { mayReadCut: ends, cuts: 1500 })
  describeConformance(tfGraphDef, { 'constants.pbtxt': sample('constants.pbtxt') }, { mayReadCut: ends, cuts: 300 })
  describeConformance(tfGraphDef, { meta: sample('tf1-v2.meta', metas) }, { mayReadCut: ends, cuts: 500 })
})

test.each(['constants', 'frozen'])('%s: text and binary give the same model', async (name) => {
  const read = async (file: string) => {
    const { model } = await readAll(tfGraphDef, sample(file))
    const values = await Promise.all(model.tensors.map((tensor) => readTensor(tensor)))
    const tensors = model.tensors.map(({ name: own, dtype, shape, role }) => ({ own, dtype, shape, role }))
    return { graphs: model.graphs, tensors, values, warnings: model.warnings }
  }
  expect(await read(`${name}.pbtxt`)).toEqual(await read(`${name}.pb`))
})

test('functions and calls', async () => {
  const { model } = await readAll(tfGraphDef, sample('frozen.pb'))
  expect(model.graphs.map(({ kind, nodes }) => `${kind} ${nodes.length > 0}`)).toEqual([
    'main true',
    'function true',
    'function true',
  ])
  const call = model.graphs[0]!.nodes.find(({ op }) => op === 'StatelessIf')!
  expect(call.attributes.then_branch).toMatchObject({ function: expect.stringMatching(/^cond_true_\d+$/) })
  expect(model.graphs[0]!.inputs.map(({ name }) => name)).toEqual(['x'])
})

const text = (graph: string): Sample => ({ files: { 'g.pbtxt': new TextEncoder().encode(graph) }, main: 'g.pbtxt' })

const constant = (tensor: string) =>
  `node { name: "c" op: "Const" attr { key: "value" value { tensor { ${tensor} } } } }`

const checkValues = (tensor: string, expected: number[]) =>
  test(tensor, async () => {
    const { model } = await readAll(tfGraphDef, text(constant(tensor)))
    const [only] = model.tensors
    expect(Array.from(decodeValues(only!.dtype, await readTensor(only!), expected.length))).toEqual(expected)
  })

describe('listed values', () => {
  const shape = (size: number) => `tensor_shape { dim { size: ${size} } }`
  checkValues(`dtype: DT_FLOAT ${shape(4)} float_val: 1 float_val: 2.5`, [1, 2.5, 2.5, 2.5])
  checkValues(`dtype: DT_FLOAT ${shape(3)}`, [0, 0, 0])
  checkValues(`dtype: DT_INT64 ${shape(2)} int64_val: [-9007199254740991, 5]`, [-9007199254740991, 5])
  checkValues(`dtype: DT_INT8 ${shape(3)} int_val: [-1, 127, -128]`, [-1, 127, -128])
  checkValues(`dtype: DT_HALF ${shape(2)} half_val: 15360 half_val: 49152`, [1, -2])
  checkValues(`dtype: DT_BFLOAT16 ${shape(1)} half_val: 16256`, [1])
  checkValues(`dtype: DT_BOOL ${shape(3)} bool_val: true bool_val: false`, [1, 0, 0])
  checkValues(`dtype: DT_INT4 ${shape(3)} int_val: [1, -2, 7]`, [1, -2, 7])
  checkValues(`dtype: DT_QUINT8 ${shape(2)} tensor_content: "\\001\\377"`, [1, 255])
  checkValues(`dtype: DT_DOUBLE_REF ${shape(1)} double_val: 1e300`.replace('_REF', ''), [1e300])
})

test('what a variable of TensorFlow 1 begins with is no weight', async () => {
  const filled = 'dtype: DT_FLOAT tensor_shape { dim { size: 3 } }'
  const name = 'conv/w/Adam/Initializer/zeros'
  const graph = `${constant(filled)} ${constant(filled).replace('"c"', `"${name}"`)}`
  const { model } = await readAll(tfGraphDef, text(graph))
  expect(model.tensors.map((tensor) => [tensor.name, tensor.role])).toEqual([
    ['c', 'parameter'],
    [name, 'constant'],
  ])
})

describe('errors', () => {
  const fails = (tensor: string, message: string) =>
    test(message, () => expect(readAll(tfGraphDef, text(constant(tensor)))).rejects.toThrow(message))
  fails('dtype: DT_FLOAT tensor_shape { dim { size: 1000000000000 } } float_val: 1', 'values that repeat to at most')
  fails('dtype: DT_FLOAT tensor_shape { dim { size: -1 } }', 'expected a known shape')
  fails('dtype: DT_FLOAT float_val: [1, 2]', 'expected at most 1 values, found 2')
  fails('dtype: DT_FLOAT tensor_content: "abc"', 'expected 4 bytes, found 3')
})

test('nodes come in an order of execution whatever the file has', async () => {
  const { model } = await readAll(
    tfGraphDef,
    text(
      'node { name: "b" op: "Relu" input: "a" } node { name: "a" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }',
    ),
  )
  expect(model.graphs[0]!.nodes.map(({ name }) => name)).toEqual(['a', 'b'])
  expect(model.graphs[0]).toMatchObject({ inputs: [{ name: 'a', dtype: 'float32' }], outputs: [{ name: 'b' }] })
})

test('a resource as a constant is a warning', async () => {
  const { model } = await readAll(tfGraphDef, text(constant('dtype: DT_RESOURCE')))
  expect(model.warnings.map(({ message }) => message)).toEqual([
    'constant "c" is of type DT_RESOURCE, which is not read',
  ])
})

test('values of a large constant stay in the file until they are asked for', async () => {
  const payload = floats(Array.from({ length: 5000 }, (_, index) => index))
  const proto = concat(number(1, 1), field(2, field(2, number(1, 5000))), field(4, payload))
  const node = concat(field(1, 'w'), field(2, 'Const'), field(5, field(1, 'value'), field(2, field(8, proto))))
  const { model } = await readAll(tfGraphDef, { files: { 'g.pb': field(1, node) }, main: 'g.pb' })
  expect(model.tensors[0]).toMatchObject({ name: 'w', role: 'parameter', storage: { file: 'g.pb', byteLength: 20000 } })
})

sharedTest('model-explorer/graphdef_foo.pbtxt: nodes and functions', async () => {
  const input = await openInput(sharedModel('model-explorer/graphdef_foo.pbtxt'))
  const model = await readModel(input)
  await input.close()
  expect(model.graphs.map(({ name, nodes }) => `${name}: ${nodes.map((node) => `${node.name} ${node.op}`)}`)).toEqual([
    'main: foo Foo',
    'Add: sum Add',
    'Square: output Softmax',
  ])
})
