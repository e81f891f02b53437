import type { Node } from '../../model/graph.ts'
import { ACTIVATION_OPS } from './activation-ops.ts'
import type { RegionSide } from './region-side.ts'

/** Two nodes that correspond, or one that has no counterpart. */
export interface NodeMatch {
  readonly reference?: Node
  readonly candidate?: Node
}

/** Nodes beyond this are aligned by order alone, a window wide. */
const MAX_ALIGNED = 400

/**
 * Aligns the nodes of a region by operator, in order of execution: same operator best, same family second; a node that
 * takes corresponding values is preferred. Everything that is left over stands alone.
 */
export function alignNodes(
  reference: RegionSide,
  candidate: RegionSide,
  partners: ReadonlyMap<string, string>,
): NodeMatch[] {
  const left = reference.nodes.slice(0, MAX_ALIGNED)
  const right = candidate.nodes.slice(0, MAX_ALIGNED)
  const cost = (mine: Node, theirs: Node): number => {
    const alike = likeness(mine, theirs)
    if (alike === undefined) return Number.POSITIVE_INFINITY
    const takes = mine.inputs.some((name) => {
      const partner = partners.get(name)
      return partner !== undefined && theirs.inputs.includes(partner)
    })
    const arity = mine.inputs.length === theirs.inputs.length ? 0 : 0.05
    return alike + arity - (takes ? 0.15 : 0) - (mine.name === theirs.name ? 0.1 : 0)
  }
  // classic alignment: table[i][j] is the least cost of the first i and j nodes
  const width = right.length + 1
  const table = new Float64Array((left.length + 1) * width)
  for (let j = 1; j < width; j++) table[j] = j
  for (let i = 1; i <= left.length; i++) {
    table[i * width] = i
    for (let j = 1; j < width; j++) {
      const both = table[(i - 1) * width + j - 1]! + cost(left[i - 1]!, right[j - 1]!)
      table[i * width + j] = Math.min(both, table[(i - 1) * width + j]! + 1, table[i * width + j - 1]! + 1)
    }
  }
  const matches: NodeMatch[] = []
  let i = left.length
  let j = right.length
  while (i > 0 || j > 0) {
    const here = table[i * width + j]!
    if (i > 0 && j > 0 && here === table[(i - 1) * width + j - 1]! + cost(left[i - 1]!, right[j - 1]!))
      matches.push({ reference: left[--i]!, candidate: right[--j]! })
    else if (i > 0 && here === table[(i - 1) * width + j]! + 1) matches.push({ reference: left[--i]! })
    else matches.push({ candidate: right[--j]! })
  }
  return [
    ...matches.reverse(),
    ...reference.nodes.slice(MAX_ALIGNED).map((node) => ({ reference: node })),
    ...candidate.nodes.slice(MAX_ALIGNED).map((node) => ({ candidate: node })),
  ]
}

/** 0 for the same operator, up to 0.8 for one of the same family; undefined for unlike ones. */
function likeness(mine: Node, theirs: Node): number | undefined {
  if (mine.op === theirs.op) return 0
  const [a, b] = [familyOf(mine.op), familyOf(theirs.op)]
  return a !== undefined && a === b ? 0.8 : undefined
}

/** A name for operators that do the same kind of thing; undefined for one without relatives. */
export function familyOf(op: string): string | undefined {
  if (ACTIVATION_OPS.has(op)) return 'activation'
  return FAMILIES.find(({ ops }) => ops.test(op))?.family
}

const FAMILIES = [
  { family: 'conv', ops: /^(Fused|Nhwc)?Conv$/ },
  { family: 'dense', ops: /^(MatMul|Gemm|FusedMatMul|FusedGemm)$/ },
  { family: 'pool', ops: /^(Global)?(Max|Average|Lp)Pool$/ },
  {
    family: 'norm',
    ops: /^(LayerNormalization|SkipLayerNormalization|SimplifiedLayerNormalization|RMSNormalization)$/,
  },
  { family: 'recurrent', ops: /^(LSTM|GRU|RNN)$/ },
  { family: 'resize', ops: /^(Resize|Upsample)$/ },
  { family: 'reshape', ops: /^(Reshape|Flatten|Squeeze|Unsqueeze)$/ },
  { family: 'pixels', ops: /^(DepthToSpace|SpaceToDepth)$/ },
  { family: 'sum', ops: /^(Add|Sum|Sub)$/ },
  { family: 'product', ops: /^(Mul|Div)$/ },
  { family: 'mean', ops: /^(ReduceMean|ReduceMax|ReduceSum|GlobalAveragePool|GlobalMaxPool)$/ },
  { family: 'softmax', ops: /^(Softmax|LogSoftmax)$/ },
] as const
