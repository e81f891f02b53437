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
  /** constants that the nodes take; results of operators on constants alone count, these operators are not among \`nodes\` */
  readonly constants: ReadonlyMap<string, ArrayValue>
  /** those of them that operators compute, by name */
  readonly computed: ReadonlyMap<string, Node>
  readonly producer: ReadonlyMap<string, Node>
  readonly users: ReadonlyMap<string, readonly Node[]>
  /** observed on the first input: cut, inside, end; candidate's in its own layout. Filled once the region has run */
  readonly observed: Map<string, ArrayValue>
}

/** Constants larger than this are not loaded: their values are never a hypothesis. */
const MAX_CONSTANT_BYTES = 256 * 2 ** 20

/** Runs operators that depend on no value at hand; the results wanted, by name. */
export type Precompute = (nodes: readonly Node[], wanted: readonly string[]) => Promise<ReadonlyMap<string, ArrayValue>>

/**
 * Indexes one side of a region and loads what its nodes take. What follows from constants alone, and from the sizes of
 * what is fed, is computed once and is a constant from then on: weights that are cut up and put together before use.
 */
export async function openSide(
  { role, program, inputs, output }: Pick<RegionSide, 'role' | 'program' | 'inputs' | 'output'>,
  region: readonly Node[],
  precompute: Precompute,
): Promise<RegionSide> {
  const all = region.filter(({ op }) => op !== 'Constant')
  const computed = fixedResults(program, all, new Set(inputs), output)
  const nodes = all.filter((node) => !node.outputs.some((name) => computed.has(name)))
  const wanted = new Set(nodes.flatMap((node) => node.inputs).filter((name) => computed.has(name)))
  const constants = new Map<string, ArrayValue>()
  if (wanted.size > 0) {
    const results = await precompute(all, [...wanted]).catch(() => undefined)
    if (results === undefined || [...wanted].some((name) => !results.has(name)))
      return indexed({ role, program, inputs, output }, all, constants, new Map())
    for (const [name, value] of results) constants.set(name, value)
  }
  return indexed({ role, program, inputs, output }, nodes, constants, computed)
}

async function indexed(
  side: Pick<RegionSide, 'role' | 'program' | 'inputs' | 'output'>,
  nodes: readonly Node[],
  constants: Map<string, ArrayValue>,
  computed: ReadonlyMap<string, Node>,
): Promise<RegionSide> {
  const producer = new Map<string, Node>()
  const users = new Map<string, Node[]>()
  for (const node of nodes) {
    for (const name of node.outputs) if (name !== '') producer.set(name, node)
    for (const name of new Set(node.inputs)) {
      if (name === '') continue
      users.set(name, [...(users.get(name) ?? []), node])
      if (!constants.has(name)) {
        const value = await loadConstant(side.program, name)
        if (value) constants.set(name, value)
      }
    }
  }
  return { ...side, nodes, constants, computed, producer, users, observed: new Map() }
}

/** Results of operators that depend on constants alone, or on the sizes of what is fed. */
function fixedResults(
  program: OnnxProgram,
  nodes: readonly Node[],
  fed: ReadonlySet<string>,
  output: string,
): ReadonlyMap<string, Node> {
  const fixed = new Map<string, Node>()
  const isFixed = (name: string) => name === '' || fixed.has(name) || (program.constants.has(name) && !fed.has(name))
  for (const node of nodes) {
    if (node.subgraphs !== undefined || /^(Random|Multinomial|Bernoulli)/.test(node.op)) continue
    const sizeOnly = (node.op === 'Shape' || node.op === 'Size') && fed.has(node.inputs[0] ?? '')
    const known = sizeOnly || (node.inputs.length > 0 && node.inputs.every(isFixed))
    if (known && !node.outputs.includes(output)) for (const name of node.outputs) if (name !== '') fixed.set(name, node)
  }
  return fixed
}

/** A stored tensor as an array; undefined for a name that is none, and for tensors of text or of enormous size. */
export async function loadConstant(program: OnnxProgram, name: string): Promise<ArrayValue | undefined> {
  const tensor = program.constants.get(name)
  if (tensor === undefined || tensor.dtype === 'string' || tensor.bytes > MAX_CONSTANT_BYTES) return undefined
  return { dtype: tensor.dtype, shape: tensor.shape, bytes: await readTensor(tensor) }
}

/** Inputs of a node that are computed or fed, not stored. */
export const dataInputs = (side: RegionSide, node: Node): string[] =>
  node.inputs.filter((name) => name !== '' && !isConstant(side, name))

/** Whether a value is stored, or follows from stored ones. */
export const isConstant = (side: RegionSide, name: string): boolean =>
  side.constants.has(name) || side.program.constants.has(name)

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
    if (name === '' || isConstant(side, name)) return true
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
