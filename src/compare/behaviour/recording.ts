import type { Graph, Node } from '../../model/graph.ts'
import { type ArrayValue, numbersOf } from '../../tensor/array-value.ts'
import type { Fingerprint } from './pair-values.ts'

/** What one model computed on several inputs: every observed value of its main graph. */
export interface Recording {
  readonly graph: Graph
  /** one map per input set, value name -> array; a value that could not be observed is absent */
  readonly runs: readonly ReadonlyMap<string, ArrayValue>[]
}

/**
 * Values that depend on the given inputs, in order of execution, inputs first. Shape arithmetic is followed only as far
 * as a value needs it: the result of `Shape` depends on sizes, not on values.
 */
export function dependentValues(graph: Graph, inputs: readonly string[]): string[] {
  const dependent = new Set(inputs)
  for (const node of graph.nodes) {
    if (node.op === 'Shape' || node.op === 'Size') continue
    if (node.inputs.some((name) => dependent.has(name)) || node.subgraphs !== undefined) {
      for (const name of node.outputs) if (name !== '') dependent.add(name)
    }
  }
  return [...dependent]
}

/** One side of a behaviour comparison, indexed for the questions that pairing asks. */
export interface Side {
  readonly recording: Recording
  /** observed values that depend on an input, in order of execution; graph inputs first */
  readonly order: readonly string[]
  readonly producer: ReadonlyMap<string, Node>
  readonly consumers: ReadonlyMap<string, readonly Node[]>
  readonly outputs: ReadonlySet<string>
  numbers(name: string, run: number): Float32Array | Float64Array
  shape(name: string): readonly number[] | undefined
  /** figures of the first run that no reordering of elements changes */
  print(name: string): Fingerprint
}

/** Indexes a recording. Values that no input reaches (constants, shape arithmetic on constants) are left out. */
export function sideOf(recording: Recording): Side {
  const { graph, runs } = recording
  const producer = new Map<string, Node>()
  const consumers = new Map<string, Node[]>()
  for (const node of graph.nodes) {
    for (const name of node.outputs) if (name !== '') producer.set(name, node)
    for (const name of new Set(node.inputs)) {
      if (name === '') continue
      const list = consumers.get(name)
      if (list) list.push(node)
      else consumers.set(name, [node])
    }
  }
  const first = runs[0] ?? new Map<string, ArrayValue>()
  const inputs = graph.inputs.map(({ name }) => name).filter((name) => first.has(name))
  const order = dependentValues(graph, inputs).filter((name) => first.has(name) && first.get(name)?.dtype !== 'string')
  const cache = new Map<string, Float32Array | Float64Array>()
  const prints = new Map<string, Fingerprint>()
  const numbers = (name: string, run: number) => {
    const key = `${run} ${name}`
    const known = cache.get(key)
    if (known) return known
    const value = runs[run]?.get(name)
    const made = value === undefined ? new Float32Array(0) : numbersOf(value)
    cache.set(key, made)
    return made
  }
  return {
    recording,
    order,
    producer,
    consumers,
    outputs: new Set(graph.outputs.map(({ name }) => name)),
    numbers,
    shape: (name) => first.get(name)?.shape,
    print(name) {
      const known = prints.get(name)
      if (known) return known
      const made = fingerprint(numbers(name, 0))
      prints.set(name, made)
      return made
    },
  }
}

function fingerprint(values: ArrayLike<number>): Fingerprint {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    min = value < min ? value : min
    max = value > max ? value : max
    squares += value * value
  }
  return { min, max, norm: Math.sqrt(squares) }
}

/** The first runs of a recording only. */
export function firstRuns({ graph, runs }: Recording, count: number): Recording {
  return { graph, runs: runs.slice(0, count) }
}
