import type { Node } from '../../model/graph.ts'
import { numbersOf } from '../../tensor/array-value.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { distance } from '../distance.ts'
import { ACTIVATIONS, type ActivationForm } from './activation-forms.ts'
import { isConstant, isReal, nodesBetween, type RegionSide, shapeOf } from './region-side.ts'

/** A stretch of a region that computes each number from one number of `from`: an activation, in one operator or many. */
export interface Span {
  readonly from: string
  readonly to: string
  readonly nodes: readonly Node[]
  /** the function that it is, if it is one that we know */
  readonly form: ActivationForm | undefined
}

const ELEMENTWISE =
  /^(Relu|LeakyRelu|PRelu|Elu|Selu|Celu|ThresholdedRelu|Sigmoid|HardSigmoid|HardSwish|Tanh|Softplus|Softsign|Gelu|FastGelu|QuickGelu|Mish|Swish|Clip|Erf|Exp|Log|Abs|Neg|Sqrt|Pow|Reciprocal|Max|Min|Add|Sub|Mul|Div|Identity|Cast|Where|Greater|Less|Equal|Not|Dropout)$/

/** An activation is written out in at most so many operators. */
const MAX_SPAN = 12
/** Same function: forms are evaluated in float64 from float32 values. */
const SAME = 1e-5
const MAX_PROBED = 4096

/** Longest first; the whole of an activation that is written out comes before its parts. */
export function elementwiseSpans(side: RegionSide): Span[] {
  const known = SPANS.get(side)
  if (known) return known
  const found: Span[] = []
  for (const last of side.nodes) {
    const to = last.outputs[0]
    if (!to || !ELEMENTWISE.test(last.op)) continue
    const size = shapeOf(side, to)?.join()
    if (size === undefined) continue
    for (const from of sourcesOf(side, last)) {
      const nodes = nodesBetween(side, from, to)
      if (nodes === undefined || !isReal(side.observed.get(from)) || !isReal(side.observed.get(to))) continue
      if (nodes.length > MAX_SPAN || shapeOf(side, from)?.join() !== size) continue
      if (!nodes.every((node) => ELEMENTWISE.test(node.op) && constantsAreScalar(side, node))) continue
      found.push({ from, to, nodes, form: formOf(side, from, to) })
    }
  }
  found.sort((a, b) => b.nodes.length - a.nodes.length)
  SPANS.set(side, found)
  return found
}

const SPANS = new WeakMap<RegionSide, Span[]>()

/** Values that a node's first result may be a function of, walking back through elementwise operators. */
function sourcesOf(side: RegionSide, last: Node): string[] {
  const found = new Set<string>()
  let edge: readonly Node[] = [last]
  for (let depth = 0; depth < MAX_SPAN && edge.length > 0; depth++) {
    const names = edge.flatMap(({ inputs }) => inputs.filter((name) => name !== '' && !isConstant(side, name)))
    for (const name of names) found.add(name)
    edge = names.flatMap((name) => side.producer.get(name) ?? []).filter(({ op }) => ELEMENTWISE.test(op))
  }
  return [...found]
}

const constantsAreScalar = (side: RegionSide, node: Node) =>
  node.op === 'PRelu' ||
  node.inputs.every((name) => {
    const constant = side.constants.get(name)
    return constant === undefined || elementCount(constant.shape) === 1
  })

/** The known function that gives `to` from `from` on the first input. */
function formOf(side: RegionSide, from: string, to: string): ActivationForm | undefined {
  const source = side.observed.get(from)
  const result = side.observed.get(to)
  if (source === undefined || result === undefined) return undefined
  const x = sample(numbersOf(source))
  const y = sample(numbersOf(result))
  return ACTIVATIONS.find(({ apply }) => distance(Float64Array.from(x, apply), y).relL2 <= SAME)
}

/** Some of the values, evenly spread: enough to tell functions apart. */
function sample(values: Float32Array | Float64Array): Float64Array {
  const step = Math.max(1, Math.floor(values.length / MAX_PROBED))
  return Float64Array.from({ length: Math.ceil(values.length / step) }, (_, at) => values[at * step]!)
}
