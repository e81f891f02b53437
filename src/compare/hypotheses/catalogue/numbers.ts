import type { Node } from '../../../model/graph.ts'
import { numbersOf } from '../../../tensor/array-value.ts'
import { elementCount, isFloat } from '../../../tensor/dtype.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { arrayOf, mapArray, show } from '../arrays.ts'
import { feeds, placeOf, usersOf } from '../constant-place.ts'
import { harvested } from '../harvest.ts'
import { defineHypothesis, type Trial } from '../hypothesis.ts'
import { counterpart, type RegionContext } from '../region-context.ts'
import { isReal, type RegionSide, shapeOf } from '../region-side.ts'
import { changeValue } from '../sketch.ts'
import { named, whereInCandidate } from '../wording.ts'

/** ONNX element types: 10 is float16, 16 bfloat16, 1 float32. */
const NARROW = [
  { type: 10, name: 'float16' },
  { type: 16, name: 'bfloat16' },
] as const

const MAX_CASTS = 10

/** Values that pass through half precision somewhere. */
export const narrowCast = defineHypothesis({
  id: 'narrow-cast',
  stage: 'exact',
  labels: ['dtype-cast'],
  how: 'each value of the region is rounded to float16 and to bfloat16',
  trials: ({ reference }) => {
    const values = [
      ...new Set([reference.output, ...reference.inputs, ...reference.nodes.map(({ outputs }) => outputs[0]!)]),
    ]
    return values
      .filter((name) => reference.observed.get(name)?.dtype === 'float32')
      .slice(0, MAX_CASTS)
      .flatMap((name) =>
        NARROW.map(
          (narrow): Trial => ({
            side: 'reference',
            change: changeValue(reference, name, (sketch, value) =>
              sketch.add('Cast', [sketch.add('Cast', [value], { to: { int: narrow.type } })], { to: { int: 1 } }),
            ),
            label: 'dtype-cast',
            parameters: 0,
            prior: 0.94,
            detail: `"${name}" is rounded to ${narrow.name} in the candidate`,
            fix: `keep what corresponds to "${name}" in float32`,
            stretch: { from: name, to: name },
          }),
        ),
      )
  },
})

/** Scores of attention under the usual other factors, and with another mask. */
export const attention = defineHypothesis({
  id: 'attention',
  stage: 'exact',
  labels: ['attention-scale', 'attention-mask'],
  how: 'scores run with factors sqrt(d), 1/sqrt(d), d and 1/d more, d being the width of a head, of all heads, or the number of tokens; with a causal mask, and with the mask of the other sign',
  trials: ({ reference }) => {
    const scores = reference.nodes.filter(
      (node) => /^(MatMul|FusedMatMul|Einsum|Mul|Div|Add|Where)$/.test(node.op) && feeds(reference, node, 'Softmax'),
    )
    return scores.flatMap((node) => [...scaleTrials(reference, node), ...maskTrials(reference, node)])
  },
})

function scaleTrials(reference: RegionSide, node: Node): Trial[] {
  if (!/MatMul|Einsum/.test(node.op)) return []
  const [left] = node.inputs.map((name) => shapeOf(reference, name))
  const width = left?.at(-1) ?? 0
  const heads = left && left.length === 4 ? left[1]! : 1
  const tokens = shapeOf(reference, node.outputs[0]!)?.at(-1) ?? 0
  const sizes = [...new Set([width, width * heads, tokens, heads])].filter((size) => size > 1)
  const factors = [...new Set(sizes.flatMap((size) => [Math.sqrt(size), 1 / Math.sqrt(size), size, 1 / size]))]
  factors.push(...ratios(sizes))
  return factors
    .filter((factor) => Math.abs(factor - 1) > 1e-9)
    .map(
      (factor): Trial => ({
        side: 'reference',
        change: changeValue(reference, node.outputs[0]!, (sketch, value) =>
          sketch.add('Mul', [value, sketch.number(factor)]),
        ),
        label: 'attention-scale',
        also: ['constant-value'],
        parameters: 0,
        prior: 0.94,
        detail: `the scores of ${named(node)} are ${show(factor)} times the reference's (heads are ${width} wide)`,
        fix: 'scale the scores as the reference does, usually by 1/sqrt of the width of one head',
      }),
    )
}

const ratios = (sizes: readonly number[]) =>
  sizes.flatMap((a) => sizes.flatMap((b) => (a === b ? [] : [Math.sqrt(a / b)])))

function maskTrials(reference: RegionSide, node: Node): Trial[] {
  const out = node.outputs[0]!
  const shape = shapeOf(reference, out)
  const soft = (usersOf(reference).get(out) ?? []).some(({ op }) => op === 'Softmax')
  if (!soft || shape === undefined || shape.length < 2 || shape.at(-1) !== shape.at(-2)) return []
  const size = shape.at(-1)!
  if (size > 1024) return []
  const mask = (keep: (row: number, column: number) => boolean) =>
    arrayOf(
      'float32',
      [size, size],
      Float32Array.from({ length: size * size }, (_, at) => (keep(Math.floor(at / size), at % size) ? 0 : -1e9)),
    )
  const told = (change: Trial['change'], what: string): Trial => ({
    side: 'reference',
    change,
    label: 'attention-mask',
    parameters: 0,
    prior: 0.93,
    detail: what,
    fix: `mask the scores as the reference's ${named(node)} does`,
  })
  const added = (value: ReturnType<typeof mask>) =>
    changeValue(reference, out, (sketch, name) => sketch.add('Add', [name, sketch.constant(value)]))
  return [
    told(
      added(mask((row, column) => column <= row)),
      'the candidate masks later tokens (causal), the reference does not',
    ),
    told(added(mask((row, column) => column >= row)), 'the candidate masks earlier tokens, the reference does not'),
    ...(node.op === 'Add'
      ? node.inputs.flatMap((name) => {
          const value = reference.constants.get(name) ?? reference.observed.get(name)
          if (value === undefined || !isReal(value) || !numbersOf(value).some((number) => number < -100)) return []
          const other = reference.constants.has(name)
            ? {
                constants: new Map([
                  [
                    name,
                    mapArray(value, (number) =>
                      number < -100 ? 0 : Math.min(...numbersOf(value).filter(Number.isFinite)),
                    ),
                  ],
                ]),
              }
            : changeValue(reference, name, (sketch, each) => sketch.add('Sub', [sketch.number(-10_000), each]))
          return [told(other, 'the mask is inverted in the candidate')]
        })
      : []),
  ]
}

/** Scalars of the reference with numbers that the candidate states. */
export const statedScalars = defineHypothesis({
  id: 'stated-scalars',
  stage: 'exact',
  labels: [
    'constant-value',
    'attention-scale',
    'clip-range',
    'input-normalisation',
    'activation-parameter',
    'activation-type',
  ],
  how: "each scalar of the reference's region takes each number that the candidate states in its own, its inverse and its negative",
  trials: (context) => {
    const { reference, candidate } = context
    const mine = new Set(harvested(reference))
    const numbers = harvested(candidate)
      .filter((value) => !mine.has(value))
      .slice(0, 8)
    const choices = [...new Set(numbers.flatMap((value) => [value, -value, ...(value === 0 ? [] : [1 / value])]))]
    return reference.nodes.flatMap((node) =>
      node.inputs.flatMap((name, index): Trial[] => {
        const value = reference.constants.get(name)
        if (value === undefined || !isFloat(value.dtype) || elementCount(value.shape) !== 1) return []
        const own = numbersOf(value)[0]!
        const place = placeOf(reference, node, index, value)
        return choices.map(
          (other): Trial => ({
            side: 'reference',
            change: { constants: new Map([[name, mapArray(value, () => other)]]) },
            label: place.label,
            ...(place.also ? { also: place.also } : {}),
            parameters: 0,
            prior: 0.92,
            detail: `${place.word} ${show(other)} in the candidate, ${show(own)} in the reference (${named(node)})`,
            fix: `set the ${place.word} to ${show(own)} ${whereInCandidate(counterpart(context, node), candidate.output)}`,
          }),
        )
      }),
    )
  },
})

/** Ways in which pictures are prepared: mean and deviation per channel, of values in 0..1 or 0..255. */
const PREPARATIONS: readonly { name: string; mean: readonly number[]; deviation: readonly number[] }[] = [
  { name: 'divided by 255', mean: [0], deviation: [255] },
  { name: 'divided by 127.5, less 1', mean: [127.5], deviation: [127.5] },
  { name: 'mean 0.5, deviation 0.5', mean: [0.5], deviation: [0.5] },
  { name: "ImageNet's mean and deviation", mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
  {
    name: "ImageNet's mean and deviation of bytes",
    mean: [123.675, 116.28, 103.53],
    deviation: [58.395, 57.12, 57.375],
  },
  { name: "Caffe's means, blue first", mean: [103.939, 116.779, 123.68], deviation: [1] },
  { name: "Caffe's means, red first", mean: [123.68, 116.779, 103.939], deviation: [1] },
  { name: '128 subtracted, divided by 128', mean: [128], deviation: [128] },
  {
    name: "CLIP's mean and deviation",
    mean: [0.48145466, 0.4578275, 0.40821073],
    deviation: [0.26862954, 0.26130258, 0.27577711],
  },
]

/** Another preparation of the picture. */
export const inputPreparation = defineHypothesis({
  id: 'input-preparation',
  stage: 'wide',
  labels: ['input-normalisation'],
  how: 'the picture is normalised and un-normalised by each usual mean and deviation before the region',
  trials: (context: RegionContext) => {
    const { reference } = context
    const inputs = new Set(reference.program.graph.inputs.map(({ name }) => name))
    return reference.inputs
      .filter(
        (name) => inputs.has(name) && isReal(reference.observed.get(name)) && shapeOf(reference, name)?.length === 4,
      )
      .flatMap((name) =>
        PREPARATIONS.flatMap(({ name: what, mean, deviation }) => {
          const channels = shapeOf(reference, name)![1]!
          if (mean.length > 1 && mean.length !== channels) return []
          const vector = (values: readonly number[]) =>
            arrayOf('float32', values.length === 1 ? [] : [1, values.length, 1, 1], values)
          const trial = (undo: boolean): Trial => ({
            side: 'reference',
            change: changeValue(reference, name, (sketch, value) => {
              const [offset, factor] = [sketch.constant(vector(mean)), sketch.constant(vector(deviation))]
              return undo
                ? sketch.add('Add', [sketch.add('Mul', [value, factor]), offset])
                : sketch.add('Div', [sketch.add('Sub', [value, offset]), factor])
            }),
            label: 'input-normalisation' satisfies CauseLabel,
            parameters: 0,
            prior: 0.94,
            detail: `the picture is ${undo ? 'not ' : ''}${what} in the candidate, ${undo ? 'as it is in the reference' : 'and the reference does not'}`,
            fix: 'prepare the picture as the reference does',
          })
          return [trial(false), trial(true)]
        }),
      )
  },
})
