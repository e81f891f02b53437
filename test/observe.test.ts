import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openFragmentRunner } from '../src/execute/run-fragment.ts'
import type { OnnxProgram } from '../src/onnx/program.ts'
import { wholeProgram } from '../src/onnx/write-fragment.ts'
import { type ArrayValue, float32Array } from '../src/tensor/array-value.ts'
import { closePrograms, openProgram, sameBits } from './build/programs.ts'

const root = join(import.meta.dirname, '..')
const runner = openFragmentRunner()
afterAll(() => Promise.all([runner.close(), closePrograms()]))

function feedsOf({ graph }: OnnxProgram, batches: readonly number[]): Map<string, ArrayValue>[] {
  return batches.map(
    (batch) =>
      new Map(
        graph.inputs.map(({ name, shape }) => {
          const sizes = (shape ?? []).map((size) => (typeof size === 'number' ? size : batch))
          const count = sizes.reduce((product, size) => product * size, 1)
          const values = Float32Array.from({ length: count }, (_, index) => Math.sin(index * 0.7 + batch) * 2)
          return [name, float32Array(sizes, values)]
        }),
      ),
  )
}

/** In parts of any size, every value is bit by bit what the whole model makes in one run. */
const check = (path: string, memoryBudget: number, parts: number | 'many', skip = '.') =>
  test.skipIf(!existsSync(join(root, skip)))(`${path} in parts of ${memoryBudget} bytes`, async () => {
    const program = await openProgram(path)
    const feeds = feedsOf(program, [2, 3])
    const names = program.graph.nodes
      .flatMap(({ outputs }) => outputs)
      .filter((name) => name !== '' && !program.constants.has(name))
    const whole = await runner.run(program, { ...wholeProgram(program), outputs: names }, feeds)
    const seen = await runner.observe(program, wholeProgram(program), feeds, { keep: () => true, memoryBudget })
    if (parts === 'many') expect(seen.parts).toBeGreaterThan(5)
    else expect(seen.parts).toBe(parts)
    for (const [run, values] of seen.runs.entries()) {
      for (const name of names) expect(sameBits(values.get(name)?.value, whole[run]!.get(name)), name).toBe(true)
      expect([...values.keys()].length).toBe(names.length + program.graph.inputs.length)
      for (const { sketch, shape } of values.values()) expect(sketch!.shape).toEqual(shape)
    }
    expect(seen.unseen.size).toBe(0)
  })

check('examples/digits/reference/digits.onnx', 2 ** 26, 1)
check('examples/digits/reference/digits.onnx', 1, 'many')
check('examples/digits/candidate/digits-renamed.onnx', 40_000, 'many')
check('test/fixtures/frameworks/onnx/subgraphs.onnx', 1, 2)
check('test/fixtures/frameworks/onnx/functions.onnx', 1, 1)
check('../shared/data/compare/references/mixerish/reference.onnx', 100_000, 'many', '../shared')

test('only what is wanted is reported, outputs always; arrays only where they are kept', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const [wanted] = program.graph.nodes[3]!.outputs
  const done: number[] = []
  const { runs } = await runner.observe(program, wholeProgram(program), feedsOf(program, [2]), {
    wanted: (name) => name === wanted,
    memoryBudget: 1,
    onProgress: (nodes) => done.push(nodes),
  })
  expect([...runs[0]!.keys()]).toEqual([
    ...program.graph.inputs.map(({ name }) => name),
    wanted,
    ...program.graph.outputs.map(({ name }) => name),
  ])
  expect(runs[0]!.get(wanted!)!.value).toBeUndefined()
  expect(done.at(-1)).toBe(program.graph.nodes.length)
  expect(done.length).toBeGreaterThan(5)
})

test('after an abortion nothing more is run', async () => {
  const program = await openProgram('examples/digits/reference/digits.onnx')
  const stop = new AbortController()
  const onProgress = () => stop.abort(new Error('enough'))
  const stopped = openFragmentRunner({ signal: stop.signal })
  const running = stopped.observe(program, wholeProgram(program), feedsOf(program, [2]), {
    memoryBudget: 1,
    onProgress,
  })
  await expect(running).rejects.toThrow('enough')
  await stopped.close()
})
