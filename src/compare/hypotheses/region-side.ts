import type { Node } from '../../model/graph.ts'
import type { OnnxProgram } from '../../onnx/program.ts'
import type { ArrayValue } from '../../tensor/array-value.ts'
import { isFloat } from '../../tensor/dtype.ts'
import { readTensor } from '../../tensor/tensor.ts'

/** One side of a faulty region, with its constants in memory. */
export interface RegionSide {
  readonly role: 'reference' | 'candidate'
  readonly program: OnnxProgram
  /** in order of execution; `Constant` nodes left out */
  readonly nodes: readonly Node[]
  /** values that are fed */
  readonly inputs: readonly string[]
  /** the value that is judged */
  readonly output: string
  /** constants that the nodes take */
  readonly constants: ReadonlyMap<string, ArrayValue>
  readonly producer: ReadonlyMap<string, Node>
  readonly users: ReadonlyMap<string, readonly Node[]>
  /** observed on the first input: cut, inside, end; candidate's in its own layout. Filled once the region has run */
  readonly observed: Map<string, ArrayValue>
}

/** Constants larger than this are not loaded: their values are never a hypothesis. */
const MAX_CONSTANT_BYTES = 256 * 2 ** 20

/** Indexes one side of a region and loads what its nodes take. */
export async function openSide(
  role: RegionSide['role'],
  program: OnnxProgram,
  nodes: readonly Node[],
  inputs: readonly string[],
  output: string,
): Promise<RegionSide> {
  const own = nodes.filter(({ op }) => op !== 'Constant')
  const producer = new Map<string, Node>()
  const users = new Map<string, Node[]>()
  const constants = new Map<string, ArrayValue>()
  for (const node of own) {
    for (const name of node.outputs) if (name !== '') producer.set(name, node)
    for (const name of new Set(node.inputs)) {
      if (name === '') continue
      users.set(name, [...(users.get(name) ?? []), node])
      if (!constants.has(name)) {
        const value = await loadConstant(program, name)
        if (value) constants.set(name, value)
      }
    }
  }
  return { role, program, nodes: own, inputs, output, constants, producer, users, observed: new Map() }
}

/** A stored tensor as an array; undefined for a name that is none, and for tensors of text or of enormous size. */
export async function loadConstant(program: OnnxProgram, name: string): Promise<ArrayValue | undefined> {
  const tensor = program.constants.get(name)
  if (tensor === undefined || tensor.dtype === 'string' || tensor.bytes > MAX_CONSTANT_BYTES) return undefined
  return { dtype: tensor.dtype, shape: tensor.shape, bytes: await readTensor(tensor) }
}

/** Inputs of a node that are computed or fed, not stored. */
export const dataInputs = (side: RegionSide, node: Node): string[] =>
  node.inputs.filter((name) => name !== '' && !side.program.constants.has(name))

/** The shape of a value on the first input, or of a constant; undefined where it was not observed. */
export const shapeOf = (side: RegionSide, name: string): readonly number[] | undefined =>
  (side.observed.get(name) ?? side.constants.get(name))?.shape

/** The constant that a node takes, looked up through operators that only move stored values about. */
export function constantBehind(side: RegionSide, name: string | undefined): string | undefined {
  let at = name
  for (let depth = 0; at !== undefined && depth < 6; depth++) {
    if (side.constants.has(at)) return at
    const node: Node | undefined = side.producer.get(at)
    if (node === undefined || !MOVES.has(node.op)) return undefined
    at = node.inputs[0]
  }
  return undefined
}

const MOVES: ReadonlySet<string> = new Set([
  'Identity',
  'Transpose',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Cast',
  'DequantizeLinear',
])

/** Whether the values are real numbers: what can be scaled and compared by distance. */
export const isReal = (value: ArrayValue | undefined): value is ArrayValue =>
  value !== undefined && isFloat(value.dtype)

/** Nodes on the way from `from` to `to`, neither walked past; undefined when `to` does not depend on `from` alone. */
export function nodesBetween(side: RegionSide, from: string, to: string): Node[] | undefined {
  const found = new Set<Node>()
  const walk = (name: string): boolean => {
    if (name === from) return true
    if (name === '' || side.program.constants.has(name)) return true
    const node = side.producer.get(name)
    if (node === undefined) return false
    if (found.has(node)) return true
    found.add(node)
    return node.inputs.every(walk)
  }
  if (!walk(to) || found.size === 0) return undefined
  const nodes = side.nodes.filter((node) => found.has(node))
  return nodes.some((node) => node.inputs.includes(from)) ? nodes : undefined
}
