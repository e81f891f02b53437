import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { normal, seededRandom } from '../../src/compare/random.ts'
import { evaluateNode, evaluateRegion, type GivenNumbers } from '../../src/evaluate/evaluate.ts'
import type { Value } from '../../src/model/graph.ts'
import { elementCount } from '../../src/tensor/dtype.ts'
import { withOutputs } from '../build/onnx-outputs.ts'
import { type OnnxModel, readOnnxModel } from './onnx-model.ts'

const root = resolve(import.meta.dirname, '../..')
const OWN = ['examples/digits/reference/digits.onnx', 'examples/digits/candidate/digits.onnx']
const SHARED = ['fireish', 'mixerish', 'vggish'].map(
  (name) => `../shared/data/compare/references/${name}/reference.onnx`,
)
const PAIRS = Array.from({ length: 12 }, (_, index) => {
  return `../shared/data/compare/pairs/p${String(index + 1).padStart(3, '0')}/candidate.onnx`
})

const present = (files: readonly string[]) => files.filter((file) => existsSync(resolve(root, file)))

describe('every node of a model, on the values that ONNX Runtime gave it', () => {
  test.each(present(OWN))('%s', judgeNodes)
  test.each(present([...SHARED, ...PAIRS]))('%s', judgeNodes)
  if (present(SHARED).length === 0) test.skip('models of ../shared/data/compare: they are not part of a clone')
})

async function judgeNodes(file: string): Promise<void> {
  const bytes = new Uint8Array(readFileSync(resolve(root, file)))
  const model = await readOnnxModel(bytes)
  const values = await recorded(bytes, model)
  const given = new Map([...model.constants, ...values])
  for (const node of model.graph.nodes) {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : given.get(name)))
    const opset = model.opsets.get(node.domain) ?? 1
    if (node.op === 'Constant') continue
    const results = evaluateNode(node, inputs, opset)
    expect(results, `${node.name} (${node.op})`).toBeDefined()
    for (const [index, name] of node.outputs.entries()) {
      const expected = values.get(name)
      if (expected === undefined) continue
      expect(results![index]!.shape, name).toEqual(expected.shape)
      expect(relL2(results![index]!.values, expected.values), `${node.op} ${name}`).toBeLessThanOrEqual(1e-5)
    }
  }
  // the whole model as one region, from its inputs
  const inputs = new Map([
    ...model.constants,
    ...model.graph.inputs.map(({ name }) => [name, given.get(name)!] as const),
  ])
  const outputs = model.graph.outputs.map(({ name }) => name)
  const results = evaluateRegion(model.graph.nodes, inputs, model.opsets, outputs)
  if ('unsupported' in results) expect.fail(results.unsupported)
  for (const name of outputs)
    expect(relL2(results.get(name)!.values, values.get(name)!.values)).toBeLessThanOrEqual(1e-5)
}

/** Every value of the model on random inputs, graph optimisation off. */
async function recorded(bytes: Uint8Array, { graph }: OnnxModel): Promise<Map<string, GivenNumbers>> {
  const names = graph.nodes.filter(({ op }) => op !== 'Constant').flatMap(({ outputs }) => outputs)
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const observed = withOutputs(
    bytes,
    names.filter((name) => name !== '' && !outputs.has(name)),
  )
  const session = await InferenceSession.create(observed, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  })
  const random = seededRandom(1)
  const feeds = Object.fromEntries(graph.inputs.map((input) => [input.name, randomTensor(input, random)]))
  const results = { ...(await session.run(feeds)), ...feeds }
  await session.release()
  return new Map(Object.entries(results).map(([name, tensor]) => [name, toGiven(tensor as Tensor)]))
}

function randomTensor({ shape = [] }: Value, random: () => number): Tensor {
  const sizes = shape.map((size) => (typeof size === 'number' && size > 0 ? size : 2))
  return new Tensor(
    'float32',
    Float32Array.from({ length: elementCount(sizes) }, () => normal(random)),
    sizes,
  )
}

function toGiven({ data, dims, type }: Tensor): GivenNumbers {
  if (type === 'float32') return { shape: dims, values: data as Float32Array, kind: 'float', dtype: 'float32' }
  const values = Float64Array.from(data as ArrayLike<number | bigint>, Number)
  if (type === 'bool') return { shape: dims, values, kind: 'bool', dtype: 'bool' }
  return { shape: dims, values, kind: 'int', dtype: type as 'int64' }
}

function relL2(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [squares, total] = [0, 0]
  for (let at = 0; at < expected.length; at++) {
    squares += (found[at]! - expected[at]!) ** 2
    total += expected[at]! ** 2
  }
  return squares === 0 ? 0 : Math.sqrt(squares / Math.max(total, Number.MIN_VALUE))
}
