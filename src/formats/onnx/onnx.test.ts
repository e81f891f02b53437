import { describe, expect, test } from 'vitest'
import { concat, double, field, float, floats, number, packed } from '../../../test/build/protobuf.ts'
import { describeConformance } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { readTensor, type Tensor } from '../../tensor/tensor.ts'
import { onnx } from './onnx.ts'

const FLOAT = 1
const INT8 = 3
const INT64 = 7

/** A TensorProto: dims, data_type, name, then values as given. */
const tensor = (name: string, type: number, dims: readonly number[], ...values: Uint8Array[]) =>
  concat(packed(1, dims), number(2, type), field(8, name), ...values)

const raw = (...bytes: number[]) => field(9, Uint8Array.from(bytes))

const node = (op: string, inputs: readonly string[], outputs: readonly string[], ...rest: Uint8Array[]) =>
  concat(...inputs.map((name) => field(1, name)), ...outputs.map((name) => field(2, name)), field(4, op), ...rest)

const attribute = (name: string, type: number, ...value: Uint8Array[]) =>
  field(5, field(1, name), ...value, number(20, type))

/** A value of type tensor(float). */
const value = (name: string, ...dims: (number | string)[]) =>
  concat(
    field(1, name),
    field(
      2,
      field(
        1,
        number(1, FLOAT),
        field(2, ...dims.map((dim) => field(1, typeof dim === 'number' ? number(1, dim) : field(2, dim)))),
      ),
    ),
  )

const model = (...graph: Uint8Array[]) =>
  concat(number(1, 8), field(2, 'test'), field(7, ...graph), field(8, number(2, 17)))

const external = (location: string, ...entries: [string, string][]) =>
  concat(
    ...[['location', location] as const, ...entries].map(([key, text]) => field(13, field(1, key), field(2, text))),
    number(14, 1),
  )

const small = model(
  field(
    1,
    node('Conv', ['x', 'W'], ['y'], attribute('strides', 7, packed(8, [2, 2])), attribute('eps', 1, float(2, 1e-5))),
  ),
  field(
    1,
    node('Constant', [], ['shape'], attribute('value', 4, field(5, tensor('', INT64, [2], packed(7, [1, -1]))))),
  ),
  field(1, node('Reshape', ['y', 'shape'], ['z'])),
  field(2, 'net'),
  field(5, tensor('W', FLOAT, [1, 1, 1, 2], field(9, floats([0.5, -2])))),
  field(11, value('x', 'N', 1, 4, 4)),
  field(12, value('z')),
)

async function read(bytes: Uint8Array, partners: Readonly<Record<string, Uint8Array>> = {}) {
  return onnx.read(memoryInput({ 'm.onnx': bytes, ...partners }, 'm.onnx'), DEFAULT_LIMITS)
}

const numbers = async (tensor: Tensor) => [
  ...decodeValues(tensor.dtype, await readTensor(tensor), elementCount(tensor.shape)),
]

describeConformance(
  onnx,
  {
    small: { files: { 'm.onnx': small }, main: 'm.onnx' },
    'external data': {
      files: {
        'm.onnx': model(field(5, tensor('W', FLOAT, [2], external('w.bin', ['offset', '4'], ['length', '8'])))),
        'w.bin': new Uint8Array(12),
      },
      main: 'm.onnx',
    },
  },
  { mayReadCut: 'the opset list at the end of the file may be missing' },
)

test('graph, tensors and metadata', async () => {
  const { graphs, tensors, metadata, warnings } = await read(small)
  expect(warnings).toEqual([])
  expect(metadata).toMatchObject({ producer: 'test', formatVersion: 'IR 8', opsets: { 'ai.onnx': 17 }, name: 'net' })
  expect(graphs).toMatchObject([
    {
      kind: 'main',
      inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 1, 4, 4] }],
      outputs: [{ name: 'z', shape: [] }],
      nodes: [
        {
          name: 'Conv_0',
          op: 'Conv',
          domain: 'ai.onnx',
          inputs: ['x', 'W'],
          attributes: { strides: [2, 2], eps: 1e-5 },
        },
        { name: 'Constant_1', attributes: { value: { tensor: 'const:shape' } } },
        { name: 'Reshape_2' },
      ],
    },
  ])
  expect(tensors).toMatchObject([
    { name: 'W', dtype: 'float32', shape: [1, 1, 1, 2], role: 'parameter', storage: { byteLength: 8 } },
    { name: 'const:shape', dtype: 'int64', role: 'constant' },
  ])
  expect(await numbers(tensors[0]!)).toEqual([0.5, -2])
  expect(await numbers(tensors[1]!)).toEqual([1, -1])
})

describe('values in typed fields', () => {
  const check = (name: string, bytes: Uint8Array, expected: number[]) =>
    test(name, async () => {
      const { tensors } = await read(model(field(5, bytes)))
      expect(await numbers(tensors[0]!)).toEqual(expected)
    })
  check('float_data, one field each', tensor('t', FLOAT, [3], float(4, 1), float(4, 2), float(4, -3)), [1, 2, -3])
  check(
    'float_data, packed in two parts',
    tensor('t', FLOAT, [3], field(4, floats([1])), field(4, floats([2, 3]))),
    [1, 2, 3],
  )
  check('int8 in int32_data', tensor('t', INT8, [3], packed(5, [-128, 0, 127])), [-128, 0, 127])
  check('uint16 in int32_data', tensor('t', 4, [2], packed(5, [0, 65535])), [0, 65535])
  check('float16 in int32_data', tensor('t', 10, [2], packed(5, [0x3c00, 0xc000])), [1, -2])
  check('int4, two in each number', tensor('t', 22, [3], packed(5, [0xf1, 0x07])), [1, -1, 7])
  check(
    '6-bit floats, one in each number',
    tensor('t', 27, [5], packed(5, [1, 2, 31, 63, 8])),
    [0.125, 0.25, 7.5, -7.5, 1],
  )
  check('uint32 in uint64_data', tensor('t', 12, [2], packed(11, [1, 2 ** 32 - 1])), [1, 2 ** 32 - 1])
  check('double_data', tensor('t', 11, [1], double(10, 0.1)), [0.1])
  check('complex64 in float_data', tensor('t', 14, [1], field(4, floats([1, 2]))), [1, 2])
  check('an empty tensor', tensor('t', FLOAT, [0]), [])
})

describe('values that contradict shape or type', () => {
  const check = (name: string, bytes: Uint8Array, message: string) =>
    test(name, async () => {
      const reading = async () => {
        const { tensors } = await read(model(field(5, bytes)))
        await readTensor(tensors[0]!)
      }
      await expect(reading()).rejects.toThrow(message)
    })
  check('too few raw bytes', tensor('t', FLOAT, [2], raw(0, 0, 0, 0)), 'expected 8 bytes of raw_data')
  check('too many floats', tensor('t', FLOAT, [1], field(4, floats([1, 2]))), 'expected 4 bytes of values')
  check('too many numbers', tensor('t', INT64, [1], packed(7, [1, 2])), 'expected 8 bytes of values, found more')
  check('too few numbers', tensor('t', INT64, [2], packed(7, [1])), 'expected 16 bytes of values, found 8')
  check(
    'a number that does not fit',
    tensor('t', INT8, [1], packed(5, [300])),
    'expected values that fit int8, found 300',
  )
  check('no values', tensor('t', FLOAT, [2]), 'expected values, found none')
  check('a negative size', tensor('t', FLOAT, [-2]), 'dimensions that are not negative')
  check('an unknown type', tensor('t', 99, [1]), 'found type 99')
})

describe('external data', () => {
  const bytes = model(field(5, tensor('W', FLOAT, [2], external('w.bin', ['offset', '4'], ['length', '8']))))

  test('is read from the file beside the model', async () => {
    const { tensors, files, variant } = await read(bytes, { 'w.bin': concat(new Uint8Array(4), floats([3, 4])) })
    expect(files.map(({ name, role }) => [name, role])).toEqual([
      ['m.onnx', 'main'],
      ['w.bin', 'weights'],
    ])
    expect(variant).toBe('external data')
    expect(tensors[0]!.storage).toMatchObject({ file: 'w.bin', byteOffset: 4, byteLength: 8 })
    expect(await numbers(tensors[0]!)).toEqual([3, 4])
  })

  test('a missing file is a warning, and an error for who wants its values', async () => {
    const { tensors, warnings, graphs } = await read(bytes)
    expect(graphs).toHaveLength(1)
    expect(warnings).toMatchObject([{ code: 'MISSING_FILE', subject: 'w.bin' }])
    await expect(readTensor(tensors[0]!)).rejects.toMatchObject({ code: 'MISSING_FILE' })
  })

  test('a file that is too short, an offset that is no number', async () => {
    await expect(read(bytes, { 'w.bin': new Uint8Array(8) })).rejects.toMatchObject({ code: 'TRUNCATED' })
    const negative = model(field(5, tensor('W', FLOAT, [2], external('w.bin', ['offset', '-4']))))
    await expect(read(negative, { 'w.bin': new Uint8Array(8) })).rejects.toThrow('a whole offset')
  })
})

test('subgraphs: tensors keep their names, and get the path where a name is taken', async () => {
  const body = (weight: number) =>
    concat(
      field(1, node('Identity', ['w'], ['r'])),
      field(2, 'body'),
      field(5, tensor('w', FLOAT, [1], field(9, floats([weight])))),
    )
  const branches = node(
    'If',
    ['c'],
    ['o'],
    attribute('then_branch', 5, field(6, body(1))),
    attribute('else_branch', 5, field(6, body(2))),
  )
  const { tensors, graphs } = await read(model(field(1, branches), field(2, 'g')))
  expect(tensors.map(({ name }) => name)).toEqual(['w', 'If_0.else_branch/w'])
  expect(graphs[0]!.nodes[0]!.subgraphs).toMatchObject({
    then_branch: { kind: 'subgraph', nodes: [{ inputs: ['w'] }] },
    else_branch: { kind: 'subgraph', nodes: [{ inputs: ['If_0.else_branch/w'] }] },
  })
})

test('scales of DequantizeLinear become the quantisation of its weight', async () => {
  const { tensors } = await read(
    model(
      field(1, node('DequantizeLinear', ['w', 's', 'z'], ['d'], attribute('axis', 2, number(3, 0)))),
      field(5, tensor('w', INT8, [2, 1], raw(1, 2))),
      field(5, tensor('s', FLOAT, [2], field(9, floats([0.5, 0.25])))),
      field(5, tensor('z', INT8, [2], packed(5, [-1, 0]))),
    ),
  )
  expect(tensors.map(({ name, role, quantization }) => [name, role, quantization])).toEqual([
    ['w', 'parameter', { scales: [0.5, 0.25], zeroPoints: [-1, 0], axis: 0 }],
    ['s', 'constant', undefined],
    ['z', 'constant', undefined],
  ])
})

test('attributes of every kind', async () => {
  const one = tensor('', FLOAT, [1], field(9, floats([0.1])))
  const many = tensor('', FLOAT, [20], field(9, floats(Array(20).fill(1))))
  const { graphs, tensors } = await read(
    model(
      field(
        1,
        node(
          'Odd',
          [],
          ['o'],
          attribute('f', 1, float(2, 0.1)),
          attribute('big', 2, number(3, 2n ** 63n - 1n)),
          attribute('text', 3, field(4, 'é')),
          attribute('bytes', 3, field(4, Uint8Array.of(0xff, 0))),
          attribute('small', 4, field(5, one)),
          attribute('large', 4, field(5, many)),
          attribute('texts', 8, field(9, 'a'), field(9, 'b')),
          attribute('floats', 6, field(7, floats([1, 0.5]))),
          field(5, field(1, 'untyped'), number(3, 4)),
          field(5, field(1, 'given'), field(21, 'outer')),
          field(3, '/block/conv/Odd'),
        ),
      ),
      field(2, 'g'),
    ),
  )
  expect(graphs[0]!.nodes[0]).toMatchObject({
    scope: 'block/conv',
    attributes: {
      f: 0.1,
      big: 2n ** 63n - 1n,
      text: 'é',
      bytes: { hex: 'ff00' },
      small: { dtype: 'float32', shape: [1], values: [0.1] },
      large: { tensor: 'attr:/block/conv/Odd.large' },
      texts: ['a', 'b'],
      floats: [1, 0.5],
      untyped: 4,
      given: { ref: 'outer' },
    },
  })
  expect(tensors.map(({ name }) => name)).toEqual(['attr:/block/conv/Odd.large'])
})

test('a model that says less, and one of tomorrow', async () => {
  expect((await read(concat(number(1, 99), field(7, field(2, 'g'))))).warnings).toMatchObject([
    { code: 'NEWER_VERSION' },
  ])
  await expect(read(number(1, 8))).rejects.toThrow('expected a graph')
  const unsorted = model(field(1, node('Relu', ['a'], ['b'])), field(1, node('Relu', ['x'], ['a'])))
  expect((await read(unsorted)).warnings).toMatchObject([{ code: 'UNSORTED_NODES' }])
})
