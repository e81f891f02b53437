import type { Role } from './entry.ts'

/** Endings that say how a variable is read, not what it is. */
const NOISE = /(\/\.ATTRIBUTES\/VARIABLE_VALUE|\/ReadVariableOp(_\d+)?|\/resource|\/read|\/value|:\d+)$/i

/** `block.bn1.running_mean` -> `block.bn1` and `running_mean`, for all spellings that frameworks use. */
export function splitName(name: string): { prefix: string; last: string } {
  let rest = name
  for (let stripped = rest.replace(NOISE, ''); stripped !== rest; stripped = rest.replace(NOISE, '')) rest = stripped
  const listed = /^(.*)\[(\d+)\]$/.exec(rest)
  if (listed) return { prefix: listed[1]!, last: listed[2]! }
  const cut = Math.max(rest.lastIndexOf('.'), rest.lastIndexOf('/'))
  let prefix = rest.slice(0, Math.max(cut, 0)).replace(/[./]vars$/, '')
  let last = rest.slice(cut + 1)
  // TensorFlow.js: `pnet/prelu1_alpha`
  const joined = /^(.+)_(alpha|weights?|bias|kernel|gamma|beta)$/.exec(last)
  if (joined) {
    prefix = prefix ? `${prefix}/${joined[1]!}` : joined[1]!
    last = joined[2]!
  }
  return { prefix, last: last.replace(/^_/, '') }
}

const ROLES: readonly (readonly [RegExp, Role])[] = [
  [/^(running_mean|moving_mean|mean|rolling_mean|moving_average_mean)$/i, 'mean'],
  [/^(running_var|moving_variance|var|variance|rolling_variance|moving_var)$/i, 'variance'],
  [/^(gamma|scales?)$/i, 'gamma'],
  [/^beta$/i, 'beta'],
  [/^(bias|biases|b)$/i, 'bias'],
  [/^(alpha|slopes?)$/i, 'slope'],
  [/^(recurrent_kernel|weight_hh.*|r)$/i, 'recurrent-kernel'],
  [/^(embeddings?|table)$/i, 'table'],
  [/^(kernel|weights?|depthwise_kernel|pointwise_kernel|filters?|w|weight_ih.*)$/i, 'kernel'],
]

/** What the last part of a name says a tensor is for. */
export function roleFromName(last: string, rank: number): Role {
  for (const [pattern, role] of ROLES) {
    if (!pattern.test(last)) continue
    if (role === 'kernel' && rank <= 1) return 'unknown' // a norm's scale, a PReLU's slope
    return role
  }
  return rank > 1 ? 'kernel' : 'unknown'
}

/** How much two names have in common, 0..1: shared words from the end weigh as much as all shared words. */
export function nameSimilarity(a: string, b: string): number {
  if (a === b) return 1
  const left = words(a)
  const right = words(b)
  if (left.length === 0 || right.length === 0) return 0
  let tail = 0
  while (tail < left.length && tail < right.length && left.at(-1 - tail) === right.at(-1 - tail)) tail++
  const pool = [...right]
  let shared = 0
  for (const word of left) {
    const at = pool.indexOf(word)
    if (at < 0) continue
    pool.splice(at, 1)
    shared++
  }
  return (tail / Math.max(left.length, right.length) + (2 * shared) / (left.length + right.length)) / 2.001
}

/** One spelling for parts of names that mean the same. */
const SYNONYMS: Readonly<Record<string, string>> = {
  weights: 'kernel',
  weight: 'kernel',
  biases: 'bias',
  moving: 'running',
  variance: 'var',
  conv2d: 'conv',
  convolution: 'conv',
  bn: 'batchnorm',
  fc: 'dense',
  linear: 'dense',
}

function words(name: string): string[] {
  return (name.toLowerCase().match(/[a-z]+|\d+/g) ?? []).map((word) => SYNONYMS[word] ?? word)
}
