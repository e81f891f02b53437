import { softmax } from './activations.ts'
import { type Call, charge, hasOutput, input, int, type OperatorTable, real } from './call.ts'
import { combineValues } from './elementwise.ts'
import { multiplyArrays } from './matmul.ts'
import { multiplyMatrices } from './multiply.ts'
import { alike, broadcastShape, broadcastStrides, demand, floats, type Numbers, zeros } from './numbers.ts'
import { transposed } from './shape.ts'

interface Settings {
  readonly scale: number
  /** scores become softcap * tanh(score / softcap) before the mask; 0 for not */
  readonly softcap?: number
  /** added to the scores, broadcast to [batch, heads, queries, keys] */
  readonly bias?: Numbers | undefined
  /** whether a query may look at a key */
  readonly allows: (batch: number, query: number, key: number) => boolean
}

interface Attended {
  /** [batch, heads, queries, size of a value] */
  readonly output: Numbers
  /** at each stage: products, capped, with bias, after softmax */
  readonly stages: readonly [Numbers, Numbers, Numbers, Numbers]
}

/**
 * softmax(scale q k' + bias) v per head; fewer key heads than query heads are shared by neighbours.
 * @param q [batch, heads, queries, size]; k and v [batch, key heads, keys, size]
 */
function attend(
  call: Call,
  q: Numbers,
  k: Numbers,
  v: Numbers,
  { scale, softcap = 0, bias, allows }: Settings,
): Attended {
  const [batch, heads, queries, size] = q.shape as [number, number, number, number]
  const [, keyHeads, keys] = k.shape as [number, number, number]
  const width = v.shape[3]!
  demand(k.shape[0] === batch && v.shape[0] === batch && k.shape[3] === size, 'queries and keys that do not fit')
  demand(v.shape[1] === keyHeads && v.shape[2] === keys && heads % keyHeads === 0, 'keys and values that do not fit')
  charge(call, batch * heads * queries * keys * (size + width))
  const whole = [batch, heads, queries, keys]
  const products = zeros(whole)
  const output = zeros([batch, heads, queries, width])
  const head = (index: number) =>
    Math.floor(index / heads) * keyHeads + Math.floor(((index % heads) * keyHeads) / heads)
  const matrix = (values: Float64Array, index: number, rows: number, columns: number) => {
    return { values, offset: index * rows * columns, rowStep: columns, columnStep: 1 }
  }
  for (let index = 0; index < batch * heads; index++) {
    const right = { values: k.values, offset: head(index) * keys * size, rowStep: 1, columnStep: size }
    const target = { out: products, outOffset: index * queries * keys, outStep: keys }
    multiplyMatrices(
      target,
      { rows: queries, inner: size, columns: keys },
      matrix(q.values, index, queries, size),
      right,
    )
  }
  for (let at = 0; at < products.length; at++) products[at] = products[at]! * scale
  const capped = softcap > 0 ? products.map((value) => softcap * Math.tanh(value / softcap)) : products
  const masked = addBias(capped, whole, bias, allows)
  const shares = masked.slice()
  for (let start = 0; start < shares.length; start += keys) {
    const row = shares.subarray(start, start + keys)
    // a query that may look at nothing gets nothing
    if (row.every((value) => value === Number.NEGATIVE_INFINITY)) row.fill(0)
    else softmax(row)
  }
  for (let index = 0; index < batch * heads; index++) {
    const target = { out: output, outOffset: index * queries * width, outStep: width }
    const size = { rows: queries, inner: keys, columns: width }
    multiplyMatrices(target, size, matrix(shares, index, queries, keys), matrix(v.values, head(index), keys, width))
  }
  return {
    output: alike(q, [batch, heads, queries, width], output),
    stages: [floats(whole, products), floats(whole, capped), floats(whole, masked), floats(whole, shares)],
  }
}

function addBias(
  scores: Float64Array,
  shape: readonly number[],
  bias: Numbers | undefined,
  allows: Settings['allows'],
): Float64Array {
  const [batch, heads, queries, keys] = shape as [number, number, number, number]
  const strides = bias === undefined ? [0, 0, 0, 0] : broadcastStrides(bias.shape, shape)
  const out = new Float64Array(scores.length)
  let at = 0
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let q = 0; q < queries; q++) {
        const row = b * strides[0]! + h * strides[1]! + q * strides[2]!
        for (let k = 0; k < keys; k++, at++) {
          const extra = bias === undefined ? 0 : bias.values[row + k * strides[3]!]!
          out[at] = allows(b, q, k) ? scores[at]! + extra : Number.NEGATIVE_INFINITY
        }
      }
    }
  }
  return out
}

/** [batch, length, heads x size] to [batch, heads, length, size]. */
function splitHeads(x: Numbers, heads: number): Numbers {
  if (x.shape.length === 4) return x
  const [batch, length, width] = x.shape as [number, number, number]
  demand(x.shape.length === 3 && heads > 0 && width % heads === 0, 'heads unlike the width')
  return transposed(alike(x, [batch, length, heads, width / heads], x.values), [0, 2, 1, 3])
}

function joinHeads(x: Numbers): Numbers {
  const [batch, heads, length, size] = x.shape as [number, number, number, number]
  return alike(x, [batch, length, heads * size], transposed(x, [0, 2, 1, 3]).values)
}

/** What came before, along the axis of the sequence. */
function appended(past: Numbers | undefined, now: Numbers): Numbers {
  if (past === undefined) return now
  const [batch, heads, length, size] = now.shape as [number, number, number, number]
  const before = past.shape[2]!
  demand(past.shape.join() === [batch, heads, before, size].join(), 'a past of another shape')
  const out = zeros([batch, heads, before + length, size])
  for (let block = 0; block < batch * heads; block++) {
    const to = block * (before + length) * size
    out.set(past.values.subarray(block * before * size, (block + 1) * before * size), to)
    out.set(now.values.subarray(block * length * size, (block + 1) * length * size), to + before * size)
  }
  return alike(now, [batch, heads, before + length, size], out)
}

/** A mask as something to add: booleans forbid where they are false, and so do keys that the mask does not reach. */
function additiveMask(mask: Numbers, keys: number): Numbers {
  const own = mask.shape.at(-1)!
  const values =
    mask.kind === 'bool' ? mask.values.map((value) => (value !== 0 ? 0 : Number.NEGATIVE_INFINITY)) : mask.values
  if (own >= keys || own === 1) return floats(mask.shape, values)
  const out = zeros([...mask.shape.slice(0, -1), keys]).fill(Number.NEGATIVE_INFINITY)
  for (let row = 0; row < values.length / own; row++) out.set(values.subarray(row * own, (row + 1) * own), row * keys)
  return floats([...mask.shape.slice(0, -1), keys], out)
}

/** @source https://onnx.ai/onnx/operators/onnx__Attention.html (versions 23 and later) */
function attention(call: Call) {
  const [first, mask, lengths] = [input(call, 0), call.inputs[3], call.inputs[6]]
  const flat = first.shape.length === 3
  const q = splitHeads(first, int(call, 'q_num_heads', 0))
  const [freshK, freshV] = [1, 2].map((index) => splitHeads(input(call, index), int(call, 'kv_num_heads', 0)))
  const [k, v] = [appended(call.inputs[4], freshK!), appended(call.inputs[5], freshV!)]
  const [queries, keys] = [q.shape[2]!, k.shape[2]!]
  const causal = int(call, 'is_causal', 0) !== 0
  const [left, right] = [int(call, 'left_window_size', -1), int(call, 'right_window_size', -1)]
  const past = call.inputs[4]?.shape[2] ?? 0
  const offset = (batch: number) => (lengths === undefined ? past : lengths.values[batch]! - queries)
  const { output, stages } = attend(call, q, k, v, {
    scale: real(call, 'scale', 1 / Math.sqrt(q.shape[3]!)),
    softcap: real(call, 'softcap', 0),
    bias: mask === undefined ? undefined : additiveMask(mask, keys),
    allows(batch, query, key) {
      const distance = query + offset(batch) - key
      if (causal && distance < 0) return false
      if (lengths !== undefined && key >= lengths.values[batch]!) return false
      return (left < 0 || distance <= left) && (right < 0 || -distance <= right)
    },
  })
  const stage = stages[int(call, 'qk_matmul_output_mode', 0)]
  demand(stage !== undefined, 'qk_matmul_output_mode')
  // version 23 and later ones number "capped" and "with bias" the other way round
  demand(
    !hasOutput(call, 3) ||
      stage === stages[0] ||
      stage === stages[3] ||
      call.node.attributes.softcap === undefined ||
      mask === undefined,
    'an inner value whose place versions disagree on',
  )
  return [flat ? joinHeads(output) : output, k, v, stage]
}

/** Rotates pairs of features by angles whose cosines and sines are given. @source onnx__RotaryEmbedding.html */
function rotaryEmbedding(call: Call) {
  const [x, cos, sin, positions] = [input(call, 0), input(call, 1), input(call, 2), call.inputs[3]]
  const turned = x.shape.length === 4
  const heads = turned ? x.shape[1]! : int(call, 'num_heads', 0)
  const q = splitHeads(x, heads)
  const [batch, , length, size] = q.shape as [number, number, number, number]
  const rotated = int(call, 'rotary_embedding_dim', 0) || size
  const half = rotated / 2
  demand(cos.shape.at(-1) === half && sin.shape.join() === cos.shape.join(), 'angles for another size')
  const interleaved = int(call, 'interleaved', 0) !== 0
  const out = q.values.slice()
  for (let row = 0; row < out.length / size; row++) {
    const [item, step] = [Math.floor(row / (heads * length)), row % length]
    const place = positions === undefined ? item * length + step : positions.values[item * length + step]!
    const angles = (cos.shape.length === 2 && positions === undefined ? step : place) * half
    for (let index = 0; index < half; index++) {
      const first = row * size + (interleaved ? 2 * index : index)
      const second = interleaved ? first + 1 : first + half
      const [a, b] = [q.values[first]!, q.values[second]!]
      const [c, s] = [cos.values[angles + index]!, sin.values[angles + index]!]
      out[first] = c * a - s * b
      out[second] = s * a + c * b
    }
  }
  demand(batch * length > 0, 'nothing to rotate')
  const result = alike(q, q.shape, out)
  return [turned ? result : joinHeads(result)]
}

/** A mask of keys [batch, keys]: 0 adds a large negative number, as BERT had it. */
function paddingBias(mask: Numbers | undefined, filter: number): Numbers | undefined {
  if (mask === undefined) return undefined
  demand(mask.shape.length === 2, 'a mask of another form')
  const [batch, keys] = mask.shape as [number, number]
  return floats(
    [batch, 1, 1, keys],
    mask.values.map((value) => (value !== 0 ? 0 : filter)),
  )
}

function sumOf(first: Numbers | undefined, second: Numbers | undefined): Numbers | undefined {
  if (first === undefined || second === undefined) return first ?? second
  broadcastShape(first.shape, second.shape)
  return combineValues(first, second, (a, b) => a + b)
}

/** What both fused forms share once queries, keys and values are there. */
function fusedAttention(call: Call, parts: { q: Numbers; k: Numbers; v: Numbers }, masks: (Numbers | undefined)[]) {
  const heads = int(call, 'num_heads', 0)
  const [q, k, v] = [parts.q, parts.k, parts.v].map((array) => splitHeads(array, heads)) as [Numbers, Numbers, Numbers]
  const stated = real(call, 'scale', 0)
  const scale = stated === 0 ? 1 / Math.sqrt(q.shape[3]!) : stated
  const causal = int(call, 'unidirectional', 0) !== 0
  const allows = (_: number, query: number, key: number) => !causal || key <= query
  return [joinHeads(attend(call, q, k, v, { scale, bias: sumOf(masks[0], masks[1]), allows }).output)]
}

/** Projection to queries, keys and values by one matrix, then attention. @source ContribOperators.md, com.microsoft.Attention */
function contribAttention(call: Call) {
  const [x, weights, bias] = [input(call, 0), input(call, 1), call.inputs[2]]
  demand(
    call.inputs.slice(4).every((array, index) => array === undefined || index === 1),
    'a past',
  )
  demand(!hasOutput(call, 1) && int(call, 'do_rotary', 0) === 0, 'a form with state')
  const product = multiplyArrays(call, x, weights)
  const whole = bias === undefined ? product : combineValues(product, bias, (a, b) => a + b)
  const width = whole.shape[2]!
  const stated = call.node.attributes.qkv_hidden_sizes
  const sizes = Array.isArray(stated) ? (stated as number[]) : [width / 3, width / 3, width / 3]
  let start = 0
  const [q, k, v] = sizes.map((size) => {
    const part = columns(whole, start, size)
    start += size
    return part
  })
  const filter = real(call, 'mask_filter_value', -10000)
  return fusedAttention(call, { q: q!, k: k!, v: v! }, [paddingBias(call.inputs[3], filter), call.inputs[5]])
}

function columns(x: Numbers, start: number, size: number): Numbers {
  const width = x.shape.at(-1)!
  const shape = [...x.shape.slice(0, -1), size]
  const out = zeros(shape)
  for (let row = 0; row < x.values.length / width; row++) {
    out.set(x.values.subarray(row * width + start, row * width + start + size), row * size)
  }
  return alike(x, shape, out)
}

/** @source ContribOperators.md, com.microsoft.MultiHeadAttention */
function multiHeadAttention(call: Call) {
  const [q, k, v, bias] = [input(call, 0), input(call, 1), input(call, 2), call.inputs[3]]
  demand(call.inputs.slice(6).every((array) => array === undefined) && !hasOutput(call, 1), 'a form with state')
  demand(
    [q, k, v].every(({ shape }) => shape.length === 3),
    'packed queries, keys and values',
  )
  let start = 0
  const [a, b, c] = [q, k, v].map((array) => {
    if (bias === undefined) return array
    const width = array.shape[2]!
    const part = floats([width], bias.values.subarray(start, start + width))
    start += width
    return combineValues(array, part, (x, y) => x + y)
  })
  const filter = real(call, 'mask_filter_value', -10000)
  return fusedAttention(call, { q: a!, k: b!, v: c! }, [paddingBias(call.inputs[4], filter), call.inputs[5]])
}

/** @source https://onnx.ai/onnx/operators/ */
export const ATTENTION_OPERATORS: OperatorTable = { Attention: attention, RotaryEmbedding: rotaryEmbedding }

/** @source microsoft/onnxruntime, docs/ContribOperators.md */
export const FUSED_ATTENTION_OPERATORS: OperatorTable = {
  Attention: contribAttention,
  MultiHeadAttention: multiHeadAttention,
}
