import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openFragmentRunner } from '../src/execute/run-fragment.ts'
import type { FragmentInput } from '../src/onnx/program.ts'
import { wholeProgram } from '../src/onnx/write-fragment.ts'
import { type ArrayValue, float32Array, numbersOf } from '../src/tensor/array-value.ts'
import { closePrograms, openProgram, sameBits } from './build/programs.ts'

const root = join(import.meta.dirname, '..')
const runner = openFragmentRunner()
afterAll(() => Promise.all([runner.close(), closePrograms()]))

function ramp(shape: readonly number[]): ArrayValue {
  const count = shape.reduce((product, size) => product * size, 1)
  return float32Array(
    shape,
    Float32Array.from({ length: count }, (_, index) => Math.sin(index * 0.7) * 2),
  )
}

const inputOf = (name: string, { dtype, shape }: ArrayValue): FragmentInput => ({ name, dtype, shape })

/** Every node, run alone on what the whole model gave it, makes bit by bit what it made inside the model. */
const checkAlone = (path: string, skip?: string) =>
  test.skipIf(skip !== undefined && !existsSync(join(root, skip)))(`${path}: node by node as in one`, async () => {
    const program = await openProgram(path)
    const whole = wholeProgram(program)
    const values = program.graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== '')
    const feed = new Map(
      program.graph.inputs.map(({ name, shape }) => [
        name,
        ramp((shape ?? []).map((size) => (typeof size === 'number' ? size : 2))),
      ]),
    )
    const [run] = await runner.run(program, { ...whole, outputs: values }, [feed])
    const known = new Map([...feed, ...run!])
    for (const node of program.graph.nodes) {
      if (node.outputs.some((name) => program.constants.has(name))) continue
      const taken = [...known.keys()].filter((name) => !node.outputs.includes(name) && !program.constants.has(name))
      const inputs = taken.map((name) => inputOf(name, known.get(name)!))
      const outputs = node.outputs.filter((name) => name !== '')
      const [alone] = await runner.run(program, { nodes: [{ from: node }], inputs, outputs }, [known])
      for (const name of outputs) expect(sameBits(alone!.get(name), known.get(name)), name).toBe(true)
    }
  })

checkAlone('examples/digits/reference/digits.onnx')
checkAlone('examples/digits/candidate/digits-renamed.onnx')
checkAlone('test/fixtures/frameworks/onnx/ir-3.onnx')
checkAlone('test/fixtures/frameworks/onnx/functions.onnx')
checkAlone('test/fixtures/frameworks/onnx/subgraphs.onnx')
checkAlone('test/fixtures/frameworks/onnx/constant-forms.onnx')
checkAlone('../shared/data/compare/references/mixerish/reference.onnx', '../shared')

test('attributes are replaced, removed and added; everything else of the node stays', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const node = program.graph.nodes.find(({ op }) => op === 'BatchNormalization')!
  const feeds = [new Map([[node.inputs[0]!, ramp([1, program.constants.get(node.inputs[1]!)!.shape[0]!, 3, 3])]])]
  const inputs = [inputOf(node.inputs[0]!, feeds[0]!.get(node.inputs[0]!)!)]
  const outputs = [node.outputs[0]!]
  const first = async (attributes: Record<string, { float: number } | null>) => {
    const [run] = await runner.run(program, { nodes: [{ from: node, attributes }], inputs, outputs }, feeds)
    return numbersOf(run!.get(outputs[0]!)!)[0]!
  }
  const plain = await first({})
  expect(await first({ epsilon: { float: node.attributes.epsilon as number } })).toBe(plain)
  expect(await first({ epsilon: { float: 1 } })).not.toBe(plain)
  expect(await first({ epsilon: null })).toBeCloseTo(plain, 3)
})

test('new nodes, new names, other constants, several feeds; outputs that nothing has to compute', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const feeds = [1, 2, 3].map((scale) => new Map([['x', float32Array([2], Float32Array.of(scale, -scale))]]))
  const runs = await runner.run(
    program,
    {
      nodes: [
        { op: 'LeakyRelu', inputs: ['x'], outputs: ['y'], attributes: { alpha: { float: 0.5 } } },
        { op: 'Add', inputs: ['y', 'c'], outputs: ['z'] },
      ],
      inputs: [{ name: 'x', dtype: 'float32', shape: ['N'] }],
      outputs: ['z', 'x', 'c'],
      constants: new Map([['c', float32Array([], Float32Array.of(10))]]),
    },
    feeds,
  )
  expect(runs.map((run) => [...numbersOf(run.get('z')!)])).toEqual([
    [11, 9.5],
    [12, 9],
    [13, 8.5],
  ])
  expect([...numbersOf(runs[1]!.get('x')!)]).toEqual([2, -2])
  expect([...numbersOf(runs[1]!.get('c')!)]).toEqual([10])
})

test('a value from nowhere is named; what the runtime refuses is an error with its reason', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const nodes = [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }]
  await expect(runner.run(program, { nodes, inputs: [], outputs: ['y'] }, [new Map()])).rejects.toMatchObject({
    code: 'CANNOT_RUN',
    message: expect.stringContaining('"x"'),
  })
  const odd = [{ op: 'NoSuchOperator', inputs: ['x'], outputs: ['y'] }]
  const inputs: FragmentInput[] = [{ name: 'x', dtype: 'float32' }]
  await expect(runner.run(program, { nodes: odd, inputs, outputs: ['y'] }, [new Map()])).rejects.toMatchObject({
    code: 'CANNOT_RUN',
    message: expect.stringContaining('NoSuchOperator'),
  })
})

test('after an abortion nothing more is run', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const stop = new AbortController()
  const stopped = openFragmentRunner({ signal: stop.signal, workers: 2 })
  const feeds = Array.from({ length: 200 }, () => new Map([['image', ramp([50, 3, 16, 12])]]))
  const running = stopped.run(program, wholeProgram(program), feeds)
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  await expect(stopped.run(program, wholeProgram(program), feeds)).rejects.toThrow('enough')
  await stopped.close()
})

test('a runner that is closed while it runs ends the run first: the process would be aborted otherwise', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const busy = openFragmentRunner()
  const running = busy.run(program, wholeProgram(program), [new Map([['image', ramp([500, 3, 16, 12])]])])
  await new Promise((resolve) => setTimeout(resolve, 300))
  await busy.close()
  const [logits] = (await running)[0]!.values()
  expect(logits!.shape).toEqual([500, 10])
})

test('sizes that do not fit are an error with the reason of the runtime', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const feeds = [new Map([['image', ramp([1, 16, 12, 3])]])]
  await expect(runner.run(program, wholeProgram(program), feeds)).rejects.toMatchObject({
    code: 'CANNOT_RUN',
    message: expect.stringContaining('invalid dimensions'),
  })
})
