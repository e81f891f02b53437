/** An elementwise function as frameworks name it. */
export interface ActivationForm {
  /** functions of one family differ by a parameter only */
  readonly family: string
  readonly name: string
  readonly apply: (x: number) => number
}

/** ONNX operators that are activations of their own. */
export const ACTIVATION_OPS: ReadonlySet<string> = new Set([
  'Relu',
  'LeakyRelu',
  'PRelu',
  'Elu',
  'Selu',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'Tanh',
  'Softplus',
  'Softsign',
  'Gelu',
  'FastGelu',
  'QuickGelu',
  'BiasGelu',
  'Mish',
  'Clip',
  'Celu',
  'ThresholdedRelu',
  'Swish',
])

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const clip = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x))

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

const leaky = (slope: number): ActivationForm => ({
  family: 'leaky-relu',
  name: `LeakyReLU(${slope})`,
  apply: (x) => (x < 0 ? slope * x : x),
})

/** What a candidate may have in place of the reference's activation. */
export const ACTIVATIONS: readonly ActivationForm[] = [
  { family: 'identity', name: 'no activation', apply: (x) => x },
  { family: 'relu', name: 'ReLU', apply: (x) => Math.max(0, x) },
  { family: 'relu6', name: 'ReLU6', apply: (x) => clip(x, 0, 6) },
  ...[0.01, 0.1, 0.2, 0.3, 0.25].map(leaky),
  { family: 'gelu', name: 'GELU (erf)', apply: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)) },
  {
    family: 'gelu-tanh',
    name: 'GELU (tanh form)',
    apply: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  },
  { family: 'gelu-sigmoid', name: 'GELU (sigmoid form)', apply: (x) => x * sigmoid(1.702 * x) },
  { family: 'silu', name: 'SiLU', apply: (x) => x * sigmoid(x) },
  { family: 'hard-swish', name: 'HardSwish', apply: (x) => (x * clip(x + 3, 0, 6)) / 6 },
  { family: 'sigmoid', name: 'Sigmoid', apply: sigmoid },
  { family: 'hard-sigmoid', name: 'HardSigmoid (x/6 + 0.5)', apply: (x) => clip(x / 6 + 0.5, 0, 1) },
  { family: 'hard-sigmoid', name: 'HardSigmoid (0.2 x + 0.5)', apply: (x) => clip(0.2 * x + 0.5, 0, 1) },
  { family: 'tanh', name: 'Tanh', apply: Math.tanh },
  { family: 'elu', name: 'ELU(1)', apply: (x) => (x < 0 ? Math.expm1(x) : x) },
  { family: 'selu', name: 'SELU', apply: (x) => 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Math.expm1(x) : x) },
  { family: 'softplus', name: 'Softplus', apply: (x) => (x > 30 ? x : Math.log1p(Math.exp(x))) },
  { family: 'mish', name: 'Mish', apply: (x) => x * Math.tanh(x > 30 ? x : Math.log1p(Math.exp(x))) },
]
