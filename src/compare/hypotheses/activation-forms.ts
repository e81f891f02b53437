import type { Sketch } from './sketch.ts'

/** An elementwise function as frameworks name it, as numbers and as operators of the oldest operator set that serves. */
export interface ActivationForm {
  /** functions of one family differ by a parameter only */
  readonly family: string
  readonly name: string
  readonly apply: (x: number) => number
  readonly build: (sketch: Sketch, value: string) => string
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const clip = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x))
const softplus = (x: number) => (x > 30 ? x : Math.log1p(Math.exp(x)))

/**
 * The Gauss error function to about 1.2e-7, enough to tell activations apart in float32.
 * @source Numerical Recipes, erfc by Chebyshev fit
 */
export function erf(x: number): number {
  const t = 1 / (1 + 0.5 * Math.abs(x))
  const series =
    -1.26551223 +
    t *
      (1.00002368 +
        t *
          (0.37409196 +
            t *
              (0.09678418 +
                t *
                  (-0.18628806 +
                    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))))
  const complement = t * Math.exp(-x * x + series)
  return x >= 0 ? 1 - complement : complement - 1
}

/** min(high, max(low, x)) in operators that every operator set has. */
export const buildClip = (sketch: Sketch, value: string, low: number, high: number): string => {
  const raised = low === Number.NEGATIVE_INFINITY ? value : sketch.add('Max', [value, sketch.number(low)])
  return high === Number.POSITIVE_INFINITY ? raised : sketch.add('Min', [raised, sketch.number(high)])
}

/** LeakyReLU with a slope. */
export const leaky = (slope: number): ActivationForm => ({
  family: 'leaky-relu',
  name: `LeakyReLU(${Number(slope.toPrecision(6))})`,
  apply: (x) => (x < 0 ? slope * x : x),
  build: (sketch, value) => sketch.add('LeakyRelu', [value], { alpha: { float: slope } }),
})

/** A clip between two bounds. */
export const clipped = (low: number, high: number): ActivationForm => ({
  family: 'clip',
  name: low === 0 && high === 6 ? 'ReLU6' : `Clip(${low}, ${high})`,
  apply: (x) => clip(x, low, high),
  build: (sketch, value) => buildClip(sketch, value, low, high),
})

const gate = (slope: number, offset: number, name: string): ActivationForm => ({
  family: 'hard-sigmoid',
  name,
  apply: (x) => clip(slope * x + offset, 0, 1),
  build: (sketch, value) => sketch.add('HardSigmoid', [value], { alpha: { float: slope }, beta: { float: offset } }),
})

const plainOp = (family: string, name: string, op: string, apply: (x: number) => number): ActivationForm => ({
  family,
  name,
  apply,
  build: (sketch, value) => sketch.add(op, [value]),
})

/** What a candidate may have in place of the reference's activation, the usual ones first. */
export const ACTIVATIONS: readonly ActivationForm[] = [
  plainOp('relu', 'ReLU', 'Relu', (x) => Math.max(0, x)),
  clipped(0, 6),
  ...[0.01, 0.1, 0.2, 0.3, 0.25, 0.05].map(leaky),
  {
    family: 'gelu',
    name: 'GELU (erf)',
    apply: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    build: (sketch, value) => {
      const inner = sketch.add('Erf', [sketch.add('Mul', [value, sketch.number(Math.SQRT1_2)])])
      const half = sketch.add('Mul', [value, sketch.number(0.5)])
      return sketch.add('Mul', [half, sketch.add('Add', [inner, sketch.number(1)])])
    },
  },
  {
    family: 'gelu-tanh',
    name: 'GELU (tanh form)',
    apply: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    build: (sketch, value) => {
      const cube = sketch.add('Mul', [sketch.add('Mul', [value, value]), value])
      const sum = sketch.add('Add', [value, sketch.add('Mul', [cube, sketch.number(0.044715)])])
      const inner = sketch.add('Tanh', [sketch.add('Mul', [sum, sketch.number(Math.sqrt(2 / Math.PI))])])
      const half = sketch.add('Mul', [value, sketch.number(0.5)])
      return sketch.add('Mul', [half, sketch.add('Add', [inner, sketch.number(1)])])
    },
  },
  {
    family: 'gelu-sigmoid',
    name: 'GELU (sigmoid form)',
    apply: (x) => x * sigmoid(1.702 * x),
    build: (sketch, value) =>
      sketch.add('Mul', [value, sketch.add('Sigmoid', [sketch.add('Mul', [value, sketch.number(1.702)])])]),
  },
  {
    family: 'silu',
    name: 'SiLU',
    apply: (x) => x * sigmoid(x),
    build: (sketch, value) => sketch.add('Mul', [value, sketch.add('Sigmoid', [value])]),
  },
  {
    family: 'hard-swish',
    name: 'HardSwish',
    apply: (x) => (x * clip(x + 3, 0, 6)) / 6,
    build: (sketch, value) =>
      sketch.add('Mul', [value, sketch.add('HardSigmoid', [value], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } })]),
  },
  plainOp('sigmoid', 'Sigmoid', 'Sigmoid', sigmoid),
  gate(1 / 6, 0.5, 'HardSigmoid (x/6 + 0.5)'),
  gate(0.2, 0.5, 'HardSigmoid (0.2 x + 0.5)'),
  plainOp('tanh', 'Tanh', 'Tanh', Math.tanh),
  plainOp('elu', 'ELU(1)', 'Elu', (x) => (x < 0 ? Math.expm1(x) : x)),
  plainOp('selu', 'SELU', 'Selu', (x) => 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Math.expm1(x) : x)),
  plainOp('softplus', 'Softplus', 'Softplus', softplus),
  plainOp('softsign', 'Softsign', 'Softsign', (x) => x / (1 + Math.abs(x))),
  {
    family: 'mish',
    name: 'Mish',
    apply: (x) => x * Math.tanh(softplus(x)),
    build: (sketch, value) => sketch.add('Mul', [value, sketch.add('Tanh', [sketch.add('Softplus', [value])])]),
  },
  {
    family: 'mish',
    name: "Mish's gate",
    apply: (x) => Math.tanh(softplus(x)),
    build: (sketch, value) => sketch.add('Tanh', [sketch.add('Softplus', [value])]),
  },
  {
    family: 'gelu-sigmoid',
    name: 'the gate of GELU (sigmoid form)',
    apply: (x) => sigmoid(1.702 * x),
    build: (sketch, value) => sketch.add('Sigmoid', [sketch.add('Mul', [value, sketch.number(1.702)])]),
  },
  clipped(0, 1),
  clipped(-1, 1),
  clipped(0, 20),
]
