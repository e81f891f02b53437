import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  bytes,
  flatbuffer,
  floatList,
  int8,
  int32,
  int64,
  ints,
  longs,
  table,
  tables,
  text,
} from '../../../test/build/flatbuffers.ts'
import { describeConformance } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { tflite } from './tflite.ts'

const CONV_2D = 3
const CUSTOM = 32

/** A tflite.Tensor: shape, type, buffer, name, quantization. */
const tensor = (
  name: string,
  type: number,
  shape: readonly number[],
  buffer: number,
  ...rest: Parameters<typeof table>
) => table(ints(...shape), int8(type), int32(buffer), text(name), ...rest)

/** A tflite.Operator: code, inputs, outputs, type of the options, options. */
const operator = (
  code: number,
  inputs: readonly number[],
  outputs: readonly number[],
  ...rest: Parameters<typeof table>
) => table(int32(code), ints(...inputs), ints(...outputs), ...rest)

interface Parts {
  codes?: ReturnType<typeof table>[]
  tensors?: ReturnType<typeof table>[]
  inputs?: number[]
  outputs?: number[]
  operators?: ReturnType<typeof table>[]
  buffers?: ReturnType<typeof table>[]
}

const file = ({ codes = [], tensors = [], inputs = [], outputs = [], operators = [], buffers = [] }: Parts) =>
  flatbuffer(
    'TFL3',
    table(
      int32(3),
      tables(...codes),
      tables(table(tables(...tensors), ints(...inputs), ints(...outputs), tables(...operators), text('main'))),
      text('test'),
      tables(...buffers),
    ),
  )

const conv = file({
  codes: [table(int8(CONV_2D), undefined, int32(3), int32(CONV_2D))],
  tensors: [
    tensor('x', 0, [1, 4, 4, 1], 0),
    tensor(
      'w',
      9,
      [2, 1, 1, 1],
      1,
      table(undefined, undefined, floatList(0.5, 0.25), longs(0, -1), undefined, undefined, int32(0)),
    ),
    tensor('net/conv/BiasAdd;net/conv/Conv2D', 0, [1, 2, 2, 2], 0),
    tensor('x', 2, [1], 2),
  ],
  inputs: [0],
  outputs: [2],
  // Conv2DOptions: padding VALID, strides 2, RELU6
  operators: [operator(0, [0, 1, -1], [2], int8(1), table(int8(1), int32(2), int32(2), int8(3)))],
  buffers: [table(), table(bytes(1, 255)), table(bytes(7, 0, 0, 0))],
})

const read = (content: Uint8Array) => tflite.read(memoryInput({ 'm.tflite': content }, 'm.tflite'), DEFAULT_LIMITS)

const fixture = (name: string) => ({
  files: {
    'm.tflite': new Uint8Array(
      readFileSync(resolve(import.meta.dirname, '../../../test/fixtures/frameworks/tflite', name)),
    ),
  },
  main: 'm.tflite',
})

describeConformance(
  tflite,
  {
    'written here': { files: { 'm.tflite': conv }, main: 'm.tflite' },
    'two signatures': fixture('two-signatures.tflite'),
    strings: fixture('strings.tflite'),
    'buffer behind the flatbuffer': fixture('types-by-hand.tflite'),
  },
  { mayReadCut: 'a file may end in padding' },
)

test('graph, constants and quantisation', async () => {
  const { graphs, tensors, metadata, warnings } = await read(conv)
  expect(warnings).toEqual([])
  expect(metadata).toMatchObject({ formatVersion: 'schema 3', description: 'test' })
  expect(tensors).toMatchObject([
    {
      name: 'w',
      dtype: 'int8',
      shape: [2, 1, 1, 1],
      role: 'parameter',
      quantization: { scales: [0.5, 0.25], zeroPoints: [0, -1], axis: 0 },
    },
    { name: 'x', dtype: 'int32', shape: [1], role: 'constant' },
  ])
  expect([...(await readTensor(tensors[0]!))]).toEqual([1, 255])
  expect(graphs).toMatchObject([
    {
      name: 'main',
      kind: 'main',
      // a constant has the plain name, the activation that is called like it another
      inputs: [{ name: 'x#2', dtype: 'float32', shape: [1, 4, 4, 1] }],
      nodes: [
        {
          name: 'CONV_2D_0',
          op: 'CONV_2D',
          inputs: ['x#2', 'w', ''],
          scope: 'net/conv',
          attributes: {
            padding: 'VALID',
            stride_w: 2,
            stride_h: 2,
            fused_activation_function: 'RELU6',
            dilation_w_factor: 1,
          },
        },
      ],
    },
  ])
})

test('control flow names the subgraphs that it calls', async () => {
  const { files, main } = fixture('control-flow.tflite')
  const { graphs } = await tflite.read(memoryInput(files, main), DEFAULT_LIMITS)
  const nodes = graphs.flatMap((graph) => graph.nodes)
  const names = graphs.map(({ name }) => name)
  const loop = nodes.find(({ op }) => op === 'WHILE')!
  expect(names).toContain(loop.attributes.body_subgraph)
  expect(names).toContain(loop.attributes.cond_subgraph)
  expect(graphs.map(({ kind }) => kind)).toEqual(['main', ...Array(graphs.length - 1).fill('function')])
})

test('operators that are custom or of tomorrow are data', async () => {
  const { graphs } = await read(
    file({
      codes: [
        table(int8(CUSTOM), text('Mine'), undefined, int32(CUSTOM)),
        table(int8(127), undefined, undefined, int32(9999)),
      ],
      operators: [operator(0, [], [], undefined, undefined, bytes(1, 255)), operator(1, [], [], int8(120 - 256 + 256))],
    }),
  )
  expect(graphs[0]!.nodes).toMatchObject([
    { name: 'Mine_0', op: 'Mine', domain: 'custom', attributes: { custom_options: { hex: '01ff' } } },
    { name: 'BUILTIN_9999_1', op: 'BUILTIN_9999' },
  ])
})

test('a sparse tensor is given as stored, with a warning', async () => {
  const sparse = tensor('s', 0, [4, 4], 1, undefined, undefined, table())
  const { tensors, warnings } = await read(file({ tensors: [sparse], buffers: [table(), table(bytes(0, 0, 128, 63))] }))
  expect(tensors).toMatchObject([{ name: 's', shape: [1], bytes: 4 }])
  expect(warnings).toMatchObject([{ code: 'SPARSE_TENSOR', subject: 's' }])
})

describe('contradictions', () => {
  const check = (name: string, parts: Parts, message: string) =>
    test(name, () => expect(read(file(parts))).rejects.toThrow(message))
  const buffers = [table(), table(bytes(1, 2, 3))]
  check(
    'fewer bytes than the shape wants',
    { tensors: [tensor('t', 0, [1], 1)], buffers },
    'expected 4 bytes, as its shape',
  )
  check('a negative size', { tensors: [tensor('t', 0, [-1], 1)], buffers }, 'not negative')
  check('a buffer that is none', { tensors: [tensor('t', 0, [1], 5)], buffers }, 'expected less than 2, found 5')
  check('a constant without an element type', { tensors: [tensor('t', 13, [3], 1)], buffers }, 'found type 13')
  check('an operator code that is none', { operators: [operator(3, [], [])] }, 'operator code')
  check(
    'a tensor number that is none',
    { codes: [table(int8(0))], operators: [operator(0, [7], [])] },
    'expected -1 to -1, found 7',
  )
  check(
    'a buffer beyond the end',
    { buffers: [table(undefined, int64(1000), int64(1e12))] },
    'expected 1000000000000 bytes',
  )
  check(
    'texts that lie',
    { tensors: [tensor('t', 5, [1], 1)], buffers: [table(), table(bytes(2, 0, 0, 0, 12, 0, 0, 0))] },
    'expected 1, as its shape says, found 2',
  )
})
