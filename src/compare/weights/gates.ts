import type { PreparedSet } from './entry.ts'
import type { Draft, Matching } from './matching.ts'

/** Order of the gate blocks by convention: i input, f forget, g cell, o output; r reset, z update, n new. */
const GATES = {
  onnx: { 4: 'iofg', 3: 'zrn' },
  pytorch: { 4: 'ifgo', 3: 'rzn' },
  keras: { 4: 'ifgo', 3: 'zrn' },
} as const

/** Whether the order of gates found is the one that the two frameworks' conventions ask for. */
export function gateOrderIsExpected({ reference, candidate }: Matching, draft: Draft): boolean {
  const [transform] = draft.options
  const from = transform?.reorder?.from
  if (from === undefined) return false
  const gates = /^(?:transposed, )?([34]) blocks/.exec(transform!.label)?.[1] === '3' ? 3 : 4
  const block = from.length / gates
  const found = Array.from({ length: gates }, (_, gate) => from[gate * block]! / block)
  const left = convention(reference, draft.reference.tensor.shape.length)
  const right = convention(candidate, draft.candidate.tensor.shape.length)
  const expected = [...GATES[right][gates]].map((letter) => GATES[left][gates].indexOf(letter))
  return found.every((gate, at) => gate === expected[at])
}

/** ONNX stores recurrent weights with a leading axis of directions; Keras is known by its framework. */
function convention({ set }: PreparedSet, rank: number): keyof typeof GATES {
  if (set.framework === 'keras' || set.framework === 'tensorflow') return 'keras'
  return rank === 3 || set.layers.some(({ op }) => op === 'LSTM' || op === 'GRU') ? 'onnx' : 'pytorch'
}
