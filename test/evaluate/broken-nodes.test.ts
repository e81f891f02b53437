import { expect, test } from 'vitest'
import { seededRandom } from '../../src/compare/random.ts'
import { kindOf } from '../../src/evaluate/call.ts'
import { evaluateNode, type GivenNumbers } from '../../src/evaluate/evaluate.ts'
import type { AttributeValue } from '../../src/model/graph.ts'
import { elementCount } from '../../src/tensor/dtype.ts'
import { RANDOM_OPERATORS, type RandomNode, randomNode } from './random-nodes.ts'

/** Values that an attribute should not have. */
const ODD: readonly AttributeValue[] = [0, -1, 1e9, 'x', [], [0, 0], [3, 3, 3, 3], null, 2 ** 40, Number.NaN]

/** Nodes per operator. */
const COUNT = 25

test.each(RANDOM_OPERATORS)(
  '%s with attributes or inputs that do not fit gives a result of its shape or none',
  (name) => {
    for (let seed = 1; seed <= COUNT; seed++) {
      const { node, inputs } = broken(randomNode(name, seed), seededRandom(seed))
      const results = evaluateNode(node, inputs, 13, { maxOperations: 1e7 }) ?? []
      for (const result of results) {
        if (result !== undefined) expect(result.values.length, `seed ${seed}`).toBe(elementCount(result.shape))
      }
    }
  },
)

/** The node with one to three things wrong. */
function broken(sound: RandomNode, random: () => number) {
  const pick = (count: number) => Math.floor(random() * count)
  const attributes: Record<string, AttributeValue> = {}
  for (const [name, value] of Object.entries(sound.attributes ?? {})) {
    attributes[name] = typeof value === 'object' && 'float' in value ? value.float : (value as AttributeValue)
  }
  const inputs = sound.inputs.map((given, index): GivenNumbers | undefined => {
    return given && { ...given, kind: kindOf(given.dtype), values: Float64Array.from(sound.values[index]!) }
  })
  const faults = [
    () => delete attributes[Object.keys(attributes)[pick(Object.keys(attributes).length)] ?? ''],
    () => {
      const name = Object.keys(attributes)[pick(Object.keys(attributes).length)]
      if (name !== undefined) attributes[name] = ODD[pick(ODD.length)]!
    },
    () => inputs.splice(pick(inputs.length), 1),
    () => inputs.splice(pick(inputs.length), 1, undefined),
    () => change((given) => ({ ...given, shape: [given.values.length] })),
    () => change((given) => ({ ...given, shape: [...given.shape, 1] })),
    () => change((given) => ({ ...given, values: given.values.map((value) => [0, -5, 1e9, 7, value][pick(5)]!) })),
  ]
  const change = (make: (given: GivenNumbers) => GivenNumbers) => {
    const index = pick(inputs.length)
    const given = inputs[index]
    if (given !== undefined) inputs[index] = make(given)
  }
  for (let fault = 0; fault <= pick(3); fault++) faults[pick(faults.length)]!()
  const names = inputs.map((given, index) => (given === undefined ? '' : `x${index}`))
  const outputs = sound.outputs.map((_, index) => `y${index}`)
  const domain = sound.domain ?? 'ai.onnx'
  return { node: { name: 'node', op: sound.op, domain, inputs: names, outputs, attributes }, inputs }
}
