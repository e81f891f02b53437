import type { Graph, Node } from '../model/graph.ts'
import { findRecord, findText } from './attributes.ts'
import type { Draft } from './draft.ts'
import { countShape, type Shape } from './shape.ts'

/**
 * Multiply-accumulates of one forward pass, by the usual convention of published tables:
 *
 * - convolution: output elements x (kernel sizes x input channels / groups)
 * - separable convolution: the two convolutions that it stands for
 * - transposed convolution: input elements x (kernel sizes x output channels / groups)
 * - dense, matrix product: output elements x inner size
 * - recurrent: elements of its kernels x steps x batch
 *
 * Bias, normalisation, activation, pooling and resizing are not counted. A fused kernel counts as what it is stored as.
 *
 * @param shapeOf shape of a value or stored tensor by name
 * @returns undefined where the layer multiplies, but a shape is unknown; 0 for layers that are not counted
 */
export function countMacs(draft: Draft, shapeOf: (value: string) => Shape): number | undefined {
  const output = countShape(shapeOf(draft.outputs[0] ?? ''))
  const axes = kernelAxes(draft, shapeOf)
  switch (draft.kind) {
    case 'conv': {
      const perOutput = axes === undefined ? undefined : multiplyAll(axes, ['D', 'H', 'W', 'I'])
      if (output === undefined || perOutput === undefined) return undefined
      if (draft.pointwise === undefined) return output * perOutput
      const point = kernelAxes({ kernel: draft.pointwise }, shapeOf)
      const inner = point?.get('I')
      const outer = point?.get('O')
      return inner && outer ? (output / outer) * inner * perOutput + output * inner : undefined
    }
    case 'conv-transpose': {
      const input = countShape(shapeOf(draft.inputs[0] ?? ''))
      const perInput = axes === undefined ? undefined : multiplyAll(axes, ['D', 'H', 'W', 'O'])
      return input === undefined || perInput === undefined ? undefined : input * perInput
    }
    case 'dense': {
      const inner = axes?.get('I')
      return output === undefined || inner === undefined || inner === null ? undefined : output * inner
    }
    case 'recurrent': {
      const kernels = draft.weights.filter(({ role }) => role === 'kernel' || role === 'recurrent-kernel')
      const sizes = kernels.map(({ tensor }) => countShape(shapeOf(tensor)))
      const sequence = shapeOf(draft.inputs[0] ?? '')
      const steps = countShape(sequence?.slice(0, 2))
      if (sequence?.length !== 3 || steps === undefined || sizes.length === 0) return undefined
      return sizes.reduce<number | undefined>(
        (sum, size) => (size === undefined ? undefined : (sum ?? 0) + size * steps),
        0,
      )
    }
    case 'attention':
      return undefined
    default: {
      if (!/^(batch_?)?mat_?mul|^qlinearmatmul|^matmulinteger/i.test(draft.op)) return 0
      const left = shapeOf(draft.operands[0] ?? '')
      const isTransposed = draft.node.attributes.adj_x === true || draft.node.attributes.transpose_a === true
      const inner = left?.[left.length - (isTransposed ? 2 : 1)]
      return output === undefined || inner === undefined || inner === null ? undefined : output * inner
    }
  }
}

/** Operators that multiply by a kernel or by each other, as the formats spell them: `Conv`, `MatMulNBits`, `Einsum`. */
const MULTIPLIES =
  /conv(?!ert)|gemm|mat_?mul|einsum|lstm|gru|rnn|attention|inner_?product|fully_?connected|^dense|^linear$|^svdf$/i

/** Containers of Keras: what they do is what the layer inside does. */
const WRAPPERS: ReadonlySet<string> = new Set(['Bidirectional', 'TimeDistributed', 'RNN'])

/** Says of a node whether it multiplies. */
export type MultiplicationTest = (node: Node) => boolean

/**
 * A test for whether a node does work that belongs into a count: by its operator, by the layer that it wraps, by the
 * bodies of its control flow, or by the functions that its attributes name. A sum without it is a lower bound.
 */
export function multiplicationTest(graphs: readonly Graph[]): MultiplicationTest {
  const functions = new Map(graphs.filter(({ kind }) => kind === 'function').map((graph) => [graph.name, graph]))
  // each function is looked into once: functions that call each other would double at every level
  const known = new Map<string, boolean>()
  const inFunction = (name: string, depth: number): boolean => {
    const found = known.get(name)
    if (found !== undefined) return found
    known.set(name, false)
    const result = functions.get(name)!.nodes.some((node) => multiplies(node, depth + 1))
    known.set(name, result)
    return result
  }
  const multiplies = (node: Node, depth: number): boolean => {
    if (MULTIPLIES.test(node.op)) return true
    if (depth > MAX_BODIES) return false
    if (WRAPPERS.has(node.op)) {
      const inner = findText(findRecord(node.attributes, 'layer', 'cell'), 'class_name')
      return inner === undefined || MULTIPLIES.test(inner)
    }
    const bodies = Object.values(node.subgraphs ?? {})
    if (bodies.some(({ nodes }) => nodes.some((inner) => multiplies(inner, depth + 1)))) return true
    if (functions.size === 0) return false
    const names = Object.keys(node.attributes).map(
      (key) => findText(node.attributes, key) ?? findText(findRecord(node.attributes, key), 'function', 'name') ?? '',
    )
    return names.some((name) => functions.has(name) && inFunction(name, depth))
  }
  return (node) => multiplies(node, 0)
}

/** Bodies inside bodies, and functions that call functions. */
const MAX_BODIES = 64

/** Whether a kind is one whose work is counted. */
export function countsWork(draft: Pick<Draft, 'kind' | 'op'>): boolean {
  return (
    ['conv', 'conv-transpose', 'dense', 'recurrent', 'attention'].includes(draft.kind) ||
    /^(batch_?)?mat_?mul/i.test(draft.op)
  )
}

/** Sizes of the kernel's axes by letter of its layout; `1` is skipped. */
export function kernelAxes(
  draft: Pick<Draft, 'kernel'>,
  shapeOf: (value: string) => Shape,
): Map<string, number | null> | undefined {
  if (draft.kernel === undefined) return undefined
  const { value, layout } = draft.kernel
  const shape = shapeOf(value)
  if (shape?.length !== layout.length) return undefined
  return new Map([...layout].map((letter, i) => [letter, shape[i] ?? null]))
}

function multiplyAll(axes: ReadonlyMap<string, number | null>, letters: readonly string[]): number | undefined {
  let product = 1
  for (const letter of letters) {
    const size = axes.has(letter) ? axes.get(letter)! : 1
    if (size === null) return undefined
    product *= size
  }
  return product
}
