import { byteLength, elementCount } from '../tensor/dtype.ts'
import { inputsOf } from './fragment-node.ts'
import type { FragmentNode, OnnxProgram } from './program.ts'

/** An estimate without anything to go by, in bytes. */
const UNKNOWN_BYTES = 4096

/** Results of these are sizes and places, not data. */
const SMALL = /^(Shape|Size|NonZero|Constant)$/

/**
 * About how many bytes each result of a node takes, before it has run: from the type that the file states, else from
 * what the node takes. Good to a factor of a few, and rather too much; what ran is known exactly.
 *
 * @param sizes bytes of values known or estimated so far
 */
export function estimateBytes(program: OnnxProgram, node: FragmentNode, sizes: ReadonlyMap<string, number>): number {
  const { constants, graph } = program
  const [own, op] = 'from' in node ? [node.from, node.from.op] : [undefined, node.op]
  const inputs = inputsOf(node)
  const stated = (own?.outputs ?? ['']).map((name) => statedBytes(graph.values.get(name)))
  const known = stated.filter((bytes) => bytes !== undefined)
  if (known.length === stated.length) return Math.max(...known, 0)
  if (SMALL.test(op)) return 256
  const taken = inputs.map((name) => sizes.get(name) ?? 0)
  const largest = Math.max(...taken, 0)
  const fed = taken[0] || largest
  const weight = inputs.map((name) => constants.get(name)?.shape).find((shape) => shape && shape.length >= 2)
  switch (op) {
    case 'Conv':
    case 'ConvTranspose': {
      if (!weight) break
      const groups = Number(own?.attributes.group ?? 1)
      const [first = 1, second = 1] = weight
      const growth = op === 'Conv' ? first / (second * groups) : (second * groups) / first
      const strides = (own?.attributes.strides as number[] | undefined) ?? []
      const area = elementCount(strides)
      return fed * growth * (op === 'Conv' ? 1 / area : area)
    }
    case 'MatMul':
    case 'Gemm':
      if (weight) return (fed * Math.max(...weight.slice(-2))) / Math.min(...weight.slice(-2))
      // Two activations: attention scores grow with the square of the length.
      return largest * 4
    case 'Resize':
    case 'Upsample':
    case 'Expand':
    case 'Tile':
      return Math.max(largest * 4, UNKNOWN_BYTES)
    case 'Concat':
      return taken.reduce((sum, bytes) => sum + bytes, 0)
  }
  return Math.max(largest, ...inputs.map((name) => constants.get(name)?.bytes ?? 0), 64)
}

function statedBytes(value: ReturnType<OnnxProgram['graph']['values']['get']>): number | undefined {
  if (value?.dtype === undefined || value.shape === undefined) return undefined
  const sizes = value.shape.filter((size) => typeof size === 'number')
  return sizes.length === value.shape.length ? byteLength(value.dtype, elementCount(sizes)) : undefined
}
