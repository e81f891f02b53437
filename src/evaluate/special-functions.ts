/** Functions that JavaScript's Math lacks, to full double precision. */

/** Distance of the points at which erf is expanded, and where it is 1 to the last bit. */
const STEP = 1 / 16
const ERF_END = 6
/** Terms of each expansion: |h| <= 1/32, so the 11th is below 1e-17. */
const TERMS = 11

/** Taylor coefficients of erf at 0, 1/16, 2/16 ...; made on first use. */
let erfTable: Float64Array | undefined

/** Error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (!(size < ERF_END)) return Number.isNaN(x) ? x : Math.sign(x)
  erfTable ??= expandErf()
  const point = Math.round(size / STEP)
  const h = size - point * STEP
  let sum = 0
  for (let term = TERMS - 1; term >= 0; term--) sum = sum * h + erfTable[point * TERMS + term]!
  return x < 0 ? -sum : sum
}

/**
 * Derivatives follow from g = erf': g' = -2 x g, and by Leibniz g^(n+1) = -2 x g^(n) - 2 n g^(n-1).
 */
function expandErf(): Float64Array {
  const points = Math.round(ERF_END / STEP) + 1
  const table = new Float64Array(points * TERMS)
  for (let point = 0; point < points; point++) {
    const x = point * STEP
    let before = 0
    let derivative = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)
    let factorial = 1
    table[point * TERMS] = erfSeries(x)
    for (let term = 1; term < TERMS; term++) {
      factorial *= term
      table[point * TERMS + term] = derivative / factorial
      const next = -2 * x * derivative - 2 * (term - 1) * before
      before = derivative
      derivative = next
    }
  }
  return table
}

/** erf x = 2 x / sqrt(pi) exp(-x^2) sum of (2 x^2)^n / (2n + 1)!!: no term is negative, so nothing cancels. */
function erfSeries(x: number): number {
  let term = 1
  let sum = 0
  for (let n = 1; term > sum * 1e-18; n++) {
    sum += term
    term *= (2 * x * x) / (2 * n + 1)
  }
  return Math.min((2 * x * Math.exp(-x * x) * sum) / Math.sqrt(Math.PI), 1)
}

/** Half to even, as IEEE 754 rounds. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest !== 0.5) return Math.round(x)
  return floor % 2 === 0 ? floor : floor + 1
}

export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))
}

export function softplus(x: number): number {
  return Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0)
}

/** x times the standard normal distribution function. */
export function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x * Math.SQRT1_2))
}

/** Its approximation by tanh. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
}
