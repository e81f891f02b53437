import { describe, expect, test } from 'vitest'
import {
  constantWeight,
  mapAlong,
  randomWeight,
  reshape,
  reverse,
  transpose,
  type Weight,
  weightSet,
} from '../../../test/build/weight-set.ts'
import { decodeFloat16 } from '../../tensor/decode.ts'
import { encodeFloat16 } from '../../tensor/encode.ts'
import { compareWeights } from './compare-weights.ts'

const toHalf = (value: number) => decodeFloat16(encodeFloat16(value))

type Weights = Readonly<Record<string, Weight>>

/** One row per pair: names, relation, transform; and the verdict with its causes. */
async function summary(reference: Weights, candidate: Weights) {
  const { verdict, pairs, causes, unpaired, epsilon } = await compareWeights(weightSet(reference), weightSet(candidate))
  return {
    verdict,
    pairs: pairs.map(
      ({ reference, candidate, relation, transform }) =>
        `${reference} = ${candidate}: ${relation}${transform === null ? '' : `, ${transform.label}`}`,
    ),
    causes: causes.map(({ label, referenceLayer }) => `${label} at ${referenceLayer}`),
    unpaired: [...unpaired.reference, ...unpaired.candidate].map(({ name, matters }) => `${name}${matters ? '!' : ''}`),
    epsilon,
  }
}

const kernel = randomWeight(1, 8, 4, 3, 3)
const other = randomWeight(2, 8, 8, 3, 3)
const point = randomWeight(3, 8, 8, 1, 1)
const depth = randomWeight(4, 8, 1, 3, 3)
const dense = randomWeight(5, 10, 24)
const bias = randomWeight(6, 8)

describe('layouts', () => {
  const check = (name: string, change: (weight: Weight) => Weight, from: Weight, expected: string) =>
    test(name, async () => {
      const { pairs, verdict } = await summary({ w: from, b: bias }, { k: change(from), v: bias })
      expect(pairs).toEqual([`w = k: ${expected}`, 'b = v: exact'])
      expect(verdict).toBe('match')
    })
  check('equal', (w) => w, kernel, 'exact')
  check('HWIO', (w) => transpose(w, 2, 3, 1, 0), kernel, 'layout, OIHW -> HWIO')
  check('OHWI', (w) => transpose(w, 0, 2, 3, 1), kernel, 'layout, OIHW -> OHWI')
  check('H and W swapped', (w) => transpose(w, 0, 1, 3, 2), kernel, 'layout, H and W swapped')
  check('HWIO, swapped', (w) => transpose(w, 3, 2, 1, 0), kernel, 'layout, OIHW -> HWIO, H and W swapped')
  check('depthwise, Keras', (w) => transpose(w, 2, 3, 0, 1), depth, 'layout, C1HW -> HWCM')
  check('depthwise, TFLite', (w) => transpose(w, 1, 2, 3, 0), depth, 'layout, C1HW -> 1HWC')
  check(
    'depth multiplier 2',
    (w) => transpose(reshape(w, 4, 2, 3, 3), 2, 3, 0, 1),
    depth,
    'layout, (C M)1HW -> HWCM (C=4, M=2)',
  )
  check('dense', (w) => transpose(w, 1, 0), dense, 'layout, transposed')
  check('squeezed', (w) => reshape(w, 8, 8), point, 'exact, reshape [8, 8, 1, 1] -> [8, 8]')
  check('projection in heads', (w) => reshape(transpose(w, 1, 0), 24, 2, 5), dense, 'layout, transposed as 10 x 24')
})

test('a 1 x 1 kernel follows the rule of the others', async () => {
  const swap = (w: Weight) => transpose(w, 3, 2, 1, 0)
  const { pairs } = await summary({ a: kernel, p: point }, { a: swap(kernel), p: swap(point) })
  expect(pairs).toEqual([
    'a = a: layout, OIHW -> HWIO, H and W swapped',
    'p = p: layout, OIHW -> HWIO, H and W swapped',
  ])
})

describe('flatten order', () => {
  // 4 channels of 2 x 3 enter the dense layer
  const regrouped = reshape(transpose(reshape(dense, 10, 4, 2, 3), 0, 2, 3, 1), 10, 24)
  const keras = (denseKernel: Weight) => ({ 'conv/kernel': transpose(kernelOf4, 2, 3, 1, 0), 'fc/kernel': denseKernel })
  const kernelOf4 = randomWeight(7, 12, 4, 3, 3)
  const reference = { 'conv.weight': kernelOf4, 'fc.weight': reshape(randomWeight(5, 10, 72), 10, 72) }
  const moved = reshape(transpose(reshape(reference['fc.weight'], 10, 12, 2, 3), 2, 3, 1, 0), 72, 10)

  test('regrouped as the layouts ask', async () => {
    const { verdict, pairs } = await summary(reference, keras(moved))
    expect(pairs[1]).toBe('fc.weight = fc/kernel: layout, transposed, flatten order CHW -> HWC (C=12, H x W=6)')
    expect(verdict).toBe('match')
  })
  test('transposed only: the port flattens HWC', async () => {
    const { verdict, causes } = await summary(reference, keras(transpose(reference['fc.weight'], 1, 0)))
    expect({ verdict, causes }).toEqual({ verdict: 'mismatch', causes: ['flatten-order at fc'] })
  })
  test('regrouped although both flatten CHW', async () => {
    const { causes } = await summary({ conv: kernel, fc: dense }, { conv: kernel, fc: regrouped })
    expect(causes).toEqual(['flatten-order at fc'])
  })
})

describe('faults of layout', () => {
  test('input channels reversed', async () => {
    const first = randomWeight(8, 16, 3, 3, 3)
    const { verdict, causes, pairs } = await summary({ a: first, b: other }, { a: reverse(first, 1), b: other })
    expect(pairs[0]).toBe('a = a: layout, channels reversed')
    expect({ verdict, causes }).toEqual({ verdict: 'mismatch', causes: ['input-channel-order at a'] })
  })
  test('kernel rotated', async () => {
    const { causes } = await summary({ a: kernel, b: other }, { a: kernel, b: reverse(reverse(other, 2), 3) })
    expect(causes).toEqual(['kernel-flipped at b'])
  })
  test('a depthwise kernel rotated, nothing but shapes known', async () => {
    const { causes } = await summary({ a: kernel, d: depth }, { a: kernel, d: reverse(reverse(depth, 2), 3) })
    expect(causes).toEqual(['kernel-flipped at d'])
  })
  test('a large first kernel with its channels reversed is not rotated', async () => {
    const first = randomWeight(8, 16, 3, 7, 7)
    const { causes } = await summary({ a: first, b: other }, { a: reverse(first, 1), b: other })
    expect(causes).toEqual(['input-channel-order at a'])
  })
  test('outputs in reverse of a network of 1 x 1 kernels are no picture', async () => {
    const [first, second] = [randomWeight(8, 16, 8, 1, 1), randomWeight(9, 8, 16, 1, 1)]
    const { causes } = await summary({ a: first, b: second }, { a: reverse(first, 0), b: second })
    expect(causes).toEqual(['weight-permuted at a'])
  })
  test('blocks of a 1 x 1 convolution in another order are no gates', async () => {
    const first = randomWeight(8, 12, 8, 1, 1)
    const { values } = first
    const block = (at: number) => [...values.slice(at * 24, at * 24 + 24)]
    const moved = { ...first, values: Float32Array.from([1, 0, 2, 3].flatMap(block)) }
    const { causes } = await summary({ a: first, b: other }, { a: moved, b: other })
    expect(causes).toEqual(['weight-permuted at a'])
  })
  test('one square dense layer transposed', async () => {
    const square = (seed: number) => randomWeight(seed, 12, 12)
    const reference = { a: square(1), b: square(2), c: square(3) }
    const { causes } = await summary(reference, { ...reference, b: transpose(reference.b, 1, 0) })
    expect(causes).toEqual(['weight-transposed at b'])
  })
  test('two layers exchanged under the same names', async () => {
    const [a, b] = [randomWeight(1, 8, 8, 3, 3), randomWeight(2, 8, 8, 3, 3)]
    const { causes } = await summary({ a, b, c: kernel }, { a: b, b: a, c: kernel })
    expect(causes).toEqual(['weight-swapped at a'])
  })
  test('two layers exchanged whose kernels have names of the exporter', async () => {
    const [q, k] = [randomWeight(1, 12, 12), randomWeight(2, 12, 12)]
    const [b, c] = [randomWeight(3, 12), randomWeight(4, 12)]
    const { verdict, causes } = await summary(
      { 'q.weight': q, 'q.bias': b, 'k.weight': k, 'k.bias': c },
      { 'onnx::MatMul_1': k, 'q.bias': c, 'onnx::MatMul_2': q, 'k.bias': b },
    )
    expect({ verdict, causes }).toEqual({ verdict: 'mismatch', causes: ['weight-swapped at q'] })
  })
  test('output channels in another order', async () => {
    const rolled = { ...other, values: Float32Array.from(other.values, (_, j) => other.values[(j + 72) % 576]!) }
    const { causes } = await summary({ a: kernel, b: other }, { a: kernel, b: rolled })
    expect(causes).toEqual(['weight-permuted at b'])
  })
})

describe('recurrent gates', () => {
  const hidden = 5
  const weight = randomWeight(1, 4 * hidden, 7)
  const blocks = (order: readonly number[]) => ({
    ...weight,
    values: Float32Array.from(
      order.flatMap((gate) => [...weight.values.slice(gate * hidden * 7, (gate + 1) * hidden * 7)]),
    ),
  })
  test('PyTorch i f g o to ONNX i o f g is the convention', async () => {
    const onnx = reshape(blocks([0, 3, 1, 2]), 1, 4 * hidden, 7)
    expect((await summary({ weight_ih_l0: weight }, { W: onnx })).verdict).toBe('match')
  })
  test('another order is a fault', async () => {
    const { causes } = await summary(
      { weight_ih_l0: weight, k: kernel },
      { weight_ih_l0: blocks([0, 2, 1, 3]), k: kernel },
    )
    expect(causes).toEqual(['lstm-gate-order at weight_ih_l0'])
  })
})

describe('BatchNorm', () => {
  const size = 8
  const positive = (weight: Weight): Weight => ({
    ...weight,
    values: weight.values.map((value) => Math.abs(value) * 0.1),
  })
  const norm = (seed: number) => ({
    weight: randomWeight(seed, size),
    bias: randomWeight(seed + 1, size),
    running_mean: randomWeight(seed + 2, size),
    running_var: positive(randomWeight(seed + 3, size)),
  })
  const named = (prefix: string, parts: Weights): Weights =>
    Object.fromEntries(Object.entries(parts).map(([name, weight]) => [`${prefix}.${name}`, weight]))
  const fold = (from: Weight, n: ReturnType<typeof norm>, epsilon: number, axis: number, convBias?: Weight) => {
    const scale = n.weight.values.map((gamma, c) => gamma / Math.sqrt(n.running_var.values[c]! + epsilon))
    return {
      kernel: mapAlong(from, axis, (value, c) => value * scale[c]!),
      bias: mapAlong(
        n.bias,
        0,
        (beta, c) => ((convBias?.values[c] ?? 0) - n.running_mean.values[c]!) * scale[c]! + beta,
      ),
    }
  }
  const [n1, n2] = [norm(20), norm(30)]
  const reference = {
    'c1.weight': kernel,
    ...named('n1', n1),
    'c2.weight': other,
    'c2.bias': bias,
    ...named('n2', n2),
    'n2.num_batches_tracked': { ...constantWeight(7), dtype: 'int64' as const },
  }
  const folded = (epsilon: number) => {
    const [f1, f2] = [fold(kernel, n1, epsilon, 0), fold(other, n2, epsilon, 0, bias)]
    return { k1: transpose(f1.kernel, 2, 3, 1, 0), b1: f1.bias, k2: transpose(f2.kernel, 2, 3, 1, 0), b2: f2.bias }
  }

  test.each([1e-5, 1.001e-5, 1e-3, 3.7e-4])('folded with epsilon %f, solved for', async (epsilon) => {
    const { verdict, pairs, epsilon: found, unpaired } = await summary(reference, folded(epsilon))
    expect(pairs).toEqual([
      'c1.weight = k1: folded, OIHW -> HWIO',
      'n1.bias = b1: folded',
      'c2.weight = k2: folded, OIHW -> HWIO',
      'c2.bias = b2: folded',
    ])
    expect(found).toBeCloseTo(epsilon, 7)
    expect({ verdict, unpaired }).toEqual({ verdict: 'match', unpaired: ['n2.num_batches_tracked'] })
  })

  test("two kernels that are folded with each other's BatchNorm hold each other's weights", async () => {
    const [a, b, n3] = [randomWeight(71, 8, 8, 3, 3), randomWeight(72, 8, 8, 3, 3), norm(40)]
    const layers = { 'c1.weight': a, ...named('n1', n1), 'c2.weight': b, ...named('n2', n2) }
    const last = { 'c3.weight': randomWeight(73, 8, 8, 3, 3), ...named('n3', n3) }
    const [f1, f2] = [fold(b, n1, 1e-5, 0), fold(a, n2, 1e-5, 0)]
    const f3 = fold(last['c3.weight'], n3, 1e-5, 0)
    const port = { k1: f1.kernel, b1: f1.bias, k2: f2.kernel, b2: f2.bias, k3: f3.kernel, b3: f3.bias }
    const more = { 'c4.weight': kernel, ...named('n4', norm(50)) }
    const f4 = fold(kernel, norm(50), 1e-5, 0)
    const { verdict, causes } = await summary({ ...layers, ...last, ...more }, { ...port, k4: f4.kernel, b4: f4.bias })
    expect({ verdict, causes }).toEqual({ verdict: 'mismatch', causes: ['weight-swapped at c1'] })
  })

  test('folded, then rounded to float16: few elements per channel let rounding move the factor', async () => {
    const slim = randomWeight(80, 64, 8, 1, 1)
    const wide = {
      weight: randomWeight(81, 64),
      bias: randomWeight(82, 64),
      running_mean: randomWeight(83, 64),
      running_var: positive(randomWeight(84, 64)),
    }
    const half = (weight: Weight): Weight => ({ ...weight, values: weight.values.map(toHalf), dtype: 'float16' })
    const { kernel: k1, bias: b1 } = fold(slim, wide, 1e-5, 0)
    const { verdict, pairs } = await summary(
      { 'c1.weight': slim, ...named('n1', wide) },
      { k1: half(k1), b1: half(b1) },
    )
    expect(pairs).toEqual(['c1.weight = k1: rounded', 'n1.bias = b1: rounded'])
    expect(verdict).toBe('match')
  })

  test('the folded side may be the reference', async () => {
    const { verdict, pairs } = await summary(folded(1e-5), reference)
    expect(pairs).toContain('k2 = c2.weight: folded, HWIO -> OIHW')
    expect(verdict).toBe('match')
  })

  test('a dead channel tells 1.001e-5 from 1e-5 exactly', async () => {
    const dead = { ...n1, running_var: mapAlong(n1.running_var, 0, (value, c) => (c === 3 ? 5e-45 : value)) }
    const { kernel: k1, bias: b1 } = fold(kernel, dead, 1.001e-5, 0)
    const { epsilon, verdict } = await summary({ 'c1.weight': kernel, ...named('n1', dead) }, { k1, b1 })
    expect({ epsilon, verdict }).toEqual({ epsilon: 1.001e-5, verdict: 'match' })
  })

  test('depthwise and transposed convolutions fold along their own axis', async () => {
    const up = randomWeight(9, 4, 8, 2, 2)
    const [f1, f2] = [fold(depth, n1, 1e-3, 0), fold(up, n2, 1e-3, 1)]
    const model = { 'd.weight': depth, ...named('n1', n1), 'u.weight': up, ...named('n2', n2) }
    const candidate = { d: transpose(f1.kernel, 1, 2, 3, 0), e: f1.bias, u: f2.kernel, v: f2.bias }
    const { verdict, pairs, epsilon } = await summary(model, candidate)
    expect(pairs).toContain('d.weight = d: folded, C1HW -> 1HWC')
    expect(pairs).toContain('u.weight = u: folded')
    expect({ verdict, epsilon }).toEqual({ verdict: 'match', epsilon: 1e-3 })
  })

  test('written as a scale and a shift', async () => {
    const scale = mapAlong(n1.weight, 0, (gamma, c) => gamma / Math.sqrt(n1.running_var.values[c]! + 1e-3))
    const shift = mapAlong(n1.bias, 0, (beta, c) => beta - n1.running_mean.values[c]! * scale.values[c]!)
    const { verdict, pairs } = await summary(
      { 'c1.weight': kernel, ...named('n1', n1) },
      { k: kernel, mul: reshape(scale, 1, 8, 1, 1), add: reshape(shift, 1, 8, 1, 1) },
    )
    expect(pairs).toEqual(['c1.weight = k: exact', 'n1.weight = mul: folded', 'n1.bias = add: folded'])
    expect(verdict).toBe('match')
  })

  test('a kernel left at its initial values is found beside its folded bias', async () => {
    const candidate = { ...folded(1e-5), k2: transpose(randomWeight(99, 8, 8, 3, 3), 2, 3, 1, 0) }
    const { verdict, causes } = await summary(reference, candidate)
    expect({ verdict, causes }).toEqual({ verdict: 'mismatch', causes: ['weight-stale at c2'] })
  })

  test('running statistics left at their start', async () => {
    const { causes } = await summary(reference, {
      ...reference,
      'n2.running_mean': constantWeight(0, size),
      'n2.running_var': constantWeight(1, size),
    })
    expect(causes).toEqual(['bn-statistics at n2', 'bn-statistics at n2'])
  })
})

describe('narrow storage', () => {
  const half = { ...kernel, dtype: 'float16' as const }
  test('float16 rounded', async () => {
    const { pairs } = await compareWeights(weightSet({ a: kernel, b: other }), weightSet({ x: half, y: other }))
    expect(pairs[0]).toMatchObject({ relation: 'rounded', storage: 'float16', accepted: true })
  })
  test('bfloat16 cut, not rounded', async () => {
    const cut = new Float32Array(kernel.values)
    new Uint32Array(cut.buffer).forEach((bits, at, all) => {
      all[at] = bits & 0xffff0000
    })
    const { pairs, verdict } = await compareWeights(
      weightSet({ a: kernel, b: other }),
      weightSet({ a: { ...kernel, values: cut, dtype: 'bfloat16' }, b: other }),
    )
    expect(pairs[0]).toMatchObject({ relation: 'rounded', detail: 'cut towards zero, not rounded' })
    expect(verdict).toBe('match')
  })
  test('a short bias is rounded like the rest of its model', async () => {
    const half = (weight: Weight): Weight => ({ ...weight, values: weight.values.map(toHalf) })
    const odd = randomWeight(40, 3)
    const [reference, candidate] = [
      { a: kernel, b: bias, odd },
      { a: half(kernel), b: half(bias), odd },
    ]
    const { pairs, verdict } = await compareWeights(weightSet(reference), weightSet(candidate))
    expect(pairs.map(({ relation }) => relation)).toEqual(['rounded', 'rounded', 'exact'])
    expect(verdict).toBe('match')
  })
  test('rounded to float16, stored as float32', async () => {
    const wide = { ...kernel, values: kernel.values.map((value) => Math.round(value * 512) / 512) }
    const { pairs } = await compareWeights(weightSet({ a: kernel }), weightSet({ a: wide }))
    expect(pairs[0]!.relation).not.toBe('exact')
  })

  const scales = Array.from(
    { length: 8 },
    (_, c) => Math.max(...kernel.values.slice(c * 36, c * 36 + 36).map(Math.abs)) / 127,
  )
  const int8 = (shift = 0): Weight => ({
    ...mapAlong(kernel, 0, (value, c) => Math.round(value / scales[c]!) + shift),
    dtype: 'int8',
    quantization: { scales, zeroPoints: [0], axis: 0 },
  })
  test('int8 per channel, within half a step', async () => {
    const { pairs, verdict } = await compareWeights(weightSet({ a: kernel }), weightSet({ x: int8() }))
    expect(pairs[0]).toMatchObject({ relation: 'quantised', accepted: true })
    expect(pairs[0]!.maxSteps).toBeLessThanOrEqual(0.5001)
    expect(verdict).toBe('match')
  })
  test('int8 one step off is no match', async () => {
    const { pairs, verdict } = await compareWeights(weightSet({ a: kernel }), weightSet({ a: int8(1) }))
    expect(pairs[0]).toMatchObject({ accepted: false })
    expect(verdict).toBe('mismatch')
  })
})

describe('the ledger', () => {
  test('another training under the same names is a mismatch without an equal tensor', async () => {
    const model = (seed: number) => ({ a: randomWeight(seed, 8, 4, 3, 3), b: randomWeight(seed + 1, 8) })
    const { verdict, pairs } = await summary(model(1), model(50))
    expect(pairs).toEqual(['a = a: different', 'b = b: different'])
    expect(verdict).toBe('mismatch')
  })
  test('nothing in common is not compared', async () => {
    expect((await summary({ a: kernel }, { b: dense })).verdict).toBe('not-compared')
  })
  test('a bias that is missing, and one that is zero', async () => {
    const model = { 'c.weight': kernel, 'c.bias': bias, 'd.weight': other }
    expect((await summary(model, { 'c.weight': kernel, 'd.weight': other })).causes).toEqual(['bias-missing at c'])
    const zeroed = await summary(model, { ...model, 'c.bias': constantWeight(0, 8) })
    expect(zeroed.causes).toEqual(['bias-missing at c'])
  })
  test('zero biases pair within their layers', async () => {
    const zero = constantWeight(0, 8)
    const reference = { 'c.weight': kernel, 'c.bias': zero, 'd.weight': other, 'd.bias': zero }
    const candidate = { 'y.weight': other, 'y.bias': zero, 'x.weight': kernel, 'x.bias': zero }
    const { pairs } = await summary(reference, candidate)
    expect(pairs).toContain('c.bias = x.bias: exact')
    expect(pairs).toContain('d.bias = y.bias: exact')
  })
  test('optimizer state and averaged copies are named, not compared', async () => {
    const state: Weight = { ...randomWeight(70, 8, 4, 3, 3), role: 'optimizer' }
    const average: Weight = { ...randomWeight(71, 8, 4, 3, 3), role: 'ema' }
    const { verdict, unpaired } = await summary({ a: kernel, s: state, e: average }, { a: kernel })
    expect({ verdict, unpaired }).toEqual({ verdict: 'match', unpaired: ['s', 'e'] })
  })
  test('an export of the averaged copy is compared with that copy', async () => {
    const average: Weight = { ...randomWeight(71, 8, 4, 3, 3), role: 'ema' }
    const { verdict, pairs, unpaired } = await summary(
      { a: kernel, e: average },
      { a: { ...average, role: 'parameter' } },
    )
    expect({ verdict, pairs, unpaired }).toEqual({ verdict: 'match', pairs: ['e = a: exact'], unpaired: ['a'] })
  })
  test('every tensor is in one pair or unpaired, once', async () => {
    const reference = { a: kernel, b: kernel, c: other, z: constantWeight(0, 8), n: dense }
    const candidate = { x: transpose(kernel, 2, 3, 1, 0), y: other, q: bias }
    const { pairs, unpaired } = await compareWeights(weightSet(reference), weightSet(candidate))
    const left = [
      ...pairs.flatMap(({ referenceTensors }) => referenceTensors),
      ...unpaired.reference.map(({ name }) => name),
    ]
    const right = [
      ...pairs.flatMap(({ candidateTensors }) => candidateTensors),
      ...unpaired.candidate.map(({ name }) => name),
    ]
    expect([...new Set(left)].sort()).toEqual(Object.keys(reference).sort())
    expect([...new Set(right)].sort()).toEqual(Object.keys(candidate).sort())
  })
})
