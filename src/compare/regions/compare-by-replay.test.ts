import { expect, test } from 'vitest'
import type { Graph, Node } from '../../model/graph.ts'
import { type ArrayValue, float32Array, numbersOf } from '../../tensor/array-value.ts'
import { asCandidate } from '../behaviour/layout.ts'
import type { Recording } from '../behaviour/recording.ts'
import { normal, seededRandom } from '../random.ts'
import { compareByReplay } from './compare-by-replay.ts'
import type { RunForced } from './forced.ts'

/** Operators on vectors that mix neighbours, so that no value is a simple function of one other. */
const OPS: Readonly<Record<string, (inputs: readonly Float32Array[]) => ArrayLike<number>>> = {
  Mix: ([x]) => x!.map((value, at) => 0.6 * value + 0.5 * x![(at + 1) % x!.length]! - 0.2 * x![(at + 5) % x!.length]!),
  Blend: ([x]) => x!.map((value, at) => 0.4 * value - 0.7 * x![(at + 2) % x!.length]! + 0.1),
  Relu: ([x]) => x!.map((value) => Math.max(0, value)),
  LeakyRelu: ([x]) => x!.map((value) => (value < 0 ? 0.2 * value : value)),
  Tanh: ([x]) => x!.map((value) => Math.tanh(value)),
  Softsign: ([x]) => x!.map((value) => value / (1 + Math.abs(value))),
  Sum: ([x, y]) => x!.map((value, at) => value + y![at]!),
  Tiny: ([x]) => x!.map((value) => 1e-9 * value + 1),
  Zero: ([x]) => x!.map(() => 0),
  Half: ([x]) => x!.map((value, at) => (at % 2 ? value : 1.5 * value)),
}

/** `y = Op(a, b)` lines; the input is `x`, outputs are the last value or those named. */
function graphOf(lines: readonly string[], outputs?: readonly string[]): Graph {
  const nodes = lines.map((line, index): Node => {
    const [, output, op, inputs] = /^(\S+) = (\w+)\((.*)\)$/.exec(line)!
    return {
      name: `${op}_${index}`,
      op: op!,
      domain: '',
      inputs: inputs!.split(', '),
      outputs: [output!],
      attributes: {},
    }
  })
  const ends = outputs ?? [nodes.at(-1)!.outputs[0]!]
  return {
    name: 'g',
    kind: 'main',
    inputs: [{ name: 'x' }],
    outputs: ends.map((name) => ({ name })),
    nodes,
    values: new Map(),
  }
}

/** Runs a graph; `given` replaces what operators take, by value name. */
function execute(graph: Graph, given: ReadonlyMap<string, ArrayValue>, forced: ReadonlyMap<string, ArrayValue>) {
  const own = new Map(given)
  for (const { op, inputs, outputs } of graph.nodes) {
    const taken = inputs.map((name) => Float32Array.from(numbersOf(forced.get(name) ?? own.get(name)!)))
    own.set(outputs[0]!, float32Array([1, taken[0]!.length], Float32Array.from(OPS[op]!(taken))))
  }
  return own
}

const random = seededRandom(7)
const probes = [1, 3].map(
  (gain) =>
    new Map([
      [
        'x',
        float32Array(
          [1, 24],
          Float32Array.from({ length: 24 }, () => gain * normal(random)),
        ),
      ],
    ]),
)
const record = (graph: Graph): Recording => ({ graph, runs: probes.map((probe) => execute(graph, probe, new Map())) })

async function compared(reference: Graph, candidate: Graph) {
  const [own, natural] = [record(reference), record(candidate)]
  const run: RunForced = async (forces, { inputs = probes.length } = {}) => ({
    graph: candidate,
    runs: probes.slice(0, inputs).map((probe, at) => {
      const forced = new Map(
        forces
          .filter(({ consumer }) => consumer === undefined)
          .map((force): [string, ArrayValue] => [
            force.candidate,
            asCandidate(own.runs[at]!.get(force.reference)!, force.order, natural.runs[at]!.get(force.candidate)!),
          ]),
      )
      const graph = {
        ...candidate,
        nodes: candidate.nodes.map((node) => {
          const edge = forces.find(({ consumer }) => consumer === node)
          if (edge === undefined) return node
          forced.set(`${edge.candidate}!`, own.runs[at]!.get(edge.reference)!)
          return { ...node, inputs: node.inputs.map((name) => (name === edge.candidate ? `${name}!` : name)) }
        }),
      }
      return execute(graph, probe, forced)
    }),
  })
  return compareByReplay(own, natural, {
    run,
    anchors: [],
    reductionLength: () => 1,
    coarse: new Map(),
    evaluate: async () => undefined,
    exchanged: [],
    stated: () => false,
    prove: async (_, suspects) => {
      await suspects()
      return []
    },
  })
}

const chain = ['a = Mix(x)', 'b = Relu(a)', 'c = Blend(b)', 'd = Tanh(c)', 'e = Mix(d)', 'f = Relu(e)', 'y = Blend(f)']
const plain = graphOf(chain)
const renamed = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/\b[a-fy]\b(?! =|\w)|^[a-fy]\b/g, (name) => `v_${name}`))
const places = ({ faults }: Awaited<ReturnType<typeof compared>>) =>
  faults.map(({ divergence }) => [divergence.referenceTensor, divergence.candidateTensor])

test('the same under other names is a match, every region judged', async () => {
  const result = await compared(plain, graphOf(renamed(chain)))
  expect([result.verdict, result.regions.length]).toEqual(['match', 7])
  expect(new Set(result.regions.map(({ state }) => state))).toEqual(new Set(['same']))
})

test('two independent faults are both found, and nothing between them', async () => {
  const lines = chain.map((line) => line.replace('b = Relu', 'b = LeakyRelu').replace('e = Mix', 'e = Blend'))
  const result = await compared(plain, graphOf(renamed(lines)))
  expect(result.verdict).toBe('mismatch')
  expect(places(result)).toEqual([
    ['b', 'v_b'],
    ['e', 'v_e'],
  ])
})

test('a fault that no output shows is a mismatch', async () => {
  const tail = ['a = Mix(x)', 'b = Tanh(a)', 'c = Tiny(b)', 's = Sum(c, x)', 'y = Mix(s)']
  const result = await compared(graphOf(tail), graphOf(tail.map((line) => line.replace('Tanh', 'Softsign'))))
  expect(result.verdict).toBe('mismatch')
  expect(places(result)).toEqual([['b', 'b']])
  expect(result.outputs.map(({ status }) => status)).toEqual(['equal'])
})

test('an operator left out: what stands in its stead, shown by supplying its result', async () => {
  const result = await compared(
    plain,
    graphOf([
      'v_a = Mix(x)',
      'v_c = Blend(v_a)',
      'v_d = Tanh(v_c)',
      'v_e = Mix(v_d)',
      'v_f = Relu(v_e)',
      'v_y = Blend(v_f)',
    ]),
  )
  expect(places(result)).toEqual([['b', 'v_a']])
  expect(result.causes[0]).toMatchObject({ label: 'activation-missing', proved: true })
})

test('an operator added: the value that it is applied to, shown by skipping it', async () => {
  const lines = [...chain.slice(0, 4), 'g = Half(d)', 'e = Mix(g)', ...chain.slice(5)]
  const result = await compared(
    plain,
    graphOf(renamed(lines).map((line) => line.replace('g =', 'v_g =').replace('(g)', '(v_g)'))),
  )
  expect(places(result)).toEqual([['d', 'v_g']])
  expect(result.causes[0]).toMatchObject({ label: 'layer-extra', proved: true })
})

test('several operators for one are one region', async () => {
  const reference = graphOf(['a = Mix(x)', 'b = Half(a)', 'y = Blend(b)'])
  const candidate = graphOf(['p = Mix(x)', 'q = Zero(p)', 'r = Sum(p, q)', 's = Half(r)', 'y = Blend(s)'])
  expect((await compared(reference, candidate)).verdict).toBe('match')
})

test('outputs in exchanged places are a mismatch', async () => {
  const lines = ['a = Mix(x)', 'b = Relu(a)', 'c = Tanh(a)']
  const result = await compared(graphOf(lines, ['b', 'c']), graphOf(renamed(lines), ['v_c', 'v_b']))
  expect(result.verdict).toBe('mismatch')
})

test('outputs that say nothing do not vouch', async () => {
  const lines = ['a = Mix(x)', 'y = Zero(a)']
  expect((await compared(graphOf(lines), graphOf(lines))).verdict).toBe('not-compared')
  const none = graphOf(chain, [])
  expect((await compared(none, none)).verdict).toBe('not-compared')
})

test('an output that the candidate lacks is a mismatch', async () => {
  const both = graphOf(chain, ['y', 'd'])
  expect((await compared(both, graphOf(chain, ['y']))).verdict).toBe('mismatch')
})
