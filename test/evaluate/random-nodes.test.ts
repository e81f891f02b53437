import { expect, test } from 'vitest'
import { againstRuntime } from './random-against-runtime.ts'
import { RANDOM_OPERATORS, randomNode } from './random-nodes.ts'

/** Nodes per operator. `MODELWRIGHT_RANDOM_NODES=300` takes two minutes. */
const COUNT = Number(process.env.MODELWRIGHT_RANDOM_NODES ?? 4)
/** Of relL2: what ONNX Runtime's float32 loses at worst, with its approximations of Gelu and Sigmoid. */
const LIMIT = 3e-6

test.each(RANDOM_OPERATORS)('%s in float64 is what ONNX Runtime computes, within its rounding', async (name) => {
  for (let seed = 1; seed <= COUNT; seed++) {
    const node = randomNode(name, seed)
    const { state, why } = await againstRuntime(node, LIMIT)
    const { opset, attributes } = node
    expect({ state, why, seed, opset, attributes }).toMatchObject({ state: 'near' })
  }
})
