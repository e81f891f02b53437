import { asCandidate } from '../compare/behaviour/layout.ts'
import { type Recording, sideOf } from '../compare/behaviour/recording.ts'
import { seededRandom } from '../compare/random.ts'
import { forcedFragment, type RunForced } from '../compare/regions/forced.ts'
import type { FragmentRunner } from '../execute/run-fragment.ts'
import type { OnnxProgram } from '../onnx/program.ts'
import { type ArrayValue, numbersOf } from '../tensor/array-value.ts'
import { type Dtype, isFloat } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'

/**
 * Runs the candidate again with values of the reference in places of its own.
 * @param natural what the candidate computed from its inputs
 */
export function replayer(
  runner: FragmentRunner,
  program: OnnxProgram,
  natural: Recording,
  reference: Recording,
): RunForced {
  const wanted = sideOf(natural).order
  // what hangs on no input (prior boxes, class numbers) is not run again: it stays what it was
  const made = new Set(wanted)
  const fixed = [...(natural.runs[0] ?? [])].filter(([name, { dtype }]) => !made.has(name) && dtype !== 'string')
  const inputs = natural.graph.inputs.map(({ name }) => name).filter((name) => natural.runs[0]?.has(name))
  return async (forces, { inputs: count = natural.runs.length, disturbed = false } = {}) => {
    const dtypeOf = (name: string): Dtype => natural.runs[0]?.get(name)?.dtype ?? 'float32'
    const { fragment, feeds, observed } = forcedFragment(program, forces, wanted, dtypeOf)
    const given = natural.runs.slice(0, count).map((run, index) => {
      const values = new Map(inputs.map((name): [string, ArrayValue] => [name, run.get(name)!]))
      for (const [position, { candidate, reference: name, order }] of forces.entries()) {
        const value = reference.runs[index]!.get(name)!
        values.set(feeds[position]!, asCandidate(value, order, run.get(candidate) ?? value))
      }
      return disturbed ? disturb(values) : values
    })
    const runs = await runner.run(program, fragment, given)
    return {
      graph: natural.graph,
      runs: runs.map((values, index) => {
        const own = new Map(fixed)
        for (const name of inputs) own.set(name, natural.runs[index]!.get(name)!)
        for (const [name, value] of values) own.set(observed.get(name) ?? name, value)
        return own
      }),
    }
  }
}

/** Values moved by about half a unit in the last place, seeded. */
export function disturb(feed: ReadonlyMap<string, ArrayValue>): Map<string, ArrayValue> {
  const random = seededRandom(20_24)
  return new Map(
    [...feed].map(([name, value]) => {
      if (!isFloat(value.dtype)) return [name, value]
      const unit = value.dtype === 'float16' ? 2 ** -11 : value.dtype === 'bfloat16' ? 2 ** -8 : 2 ** -23
      const numbers = numbersOf(value)
      const moved = value.dtype === 'float32' ? new Float32Array(numbers.length) : new Float64Array(numbers.length)
      for (let at = 0; at < moved.length; at++) moved[at] = numbers[at]! * (1 + unit * (random() - 0.5) * 2)
      const bytes = moved instanceof Float32Array ? new Uint8Array(moved.buffer) : encodeValues(value.dtype, moved)
      return [name, { ...value, bytes }]
    }),
  )
}
