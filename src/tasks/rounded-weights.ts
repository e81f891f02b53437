import type { WeightComparison, WeightPair } from '../compare/weights/comparison.ts'
import type { Model } from '../model/model.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import { decodeValues } from '../tensor/decode.ts'
import { elementCount } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import { countElements, readTensor, type Tensor } from '../tensor/tensor.ts'

/**
 * The reference's weights as the candidate stores them, where the candidate rounds them to a narrower float type.
 *
 * Running the reference with these takes the declared rounding out of the comparison: what still differs is a fault.
 * Without it a benign half-precision copy and a small fault look alike. Where the candidate has BatchNorm folded in
 * before it rounds, its weights are unfolded again: kernel / scale, and a shift that makes up for its bias.
 */
export async function roundedWeights(
  reference: Model,
  candidate: Model,
  { pairs }: WeightComparison,
): Promise<Map<string, ArrayValue>> {
  const own = tensorsOf(reference)
  const others = tensorsOf(candidate)
  const replaced = new Map<string, ArrayValue>()
  for (const pair of pairs) {
    if (pair.relation !== 'rounded' || pair.storage === undefined) continue
    const patch = pair.folding ? await unfolded(pair, own, others) : await rounded(pair, own)
    const tensor = patch && own.get(patch.name)
    if (tensor?.dtype !== 'float32') continue
    const bytes = encodeValues('float32', patch!.values)
    if (bytes.length === tensor.bytes) replaced.set(tensor.name, { dtype: 'float32', shape: tensor.shape, bytes })
  }
  return replaced
}

type Tensors = ReadonlyMap<string, Tensor>
type Values = ReturnType<typeof decodeValues>

const tensorsOf = ({ tensors }: Model): Tensors => new Map(tensors.map((tensor) => [tensor.name, tensor]))

const load = async (tensor: Tensor): Promise<Values> =>
  decodeValues(tensor.dtype, await readTensor(tensor), countElements(tensor))

interface Replaced {
  readonly name: string
  readonly values: ArrayLike<number>
}

async function rounded({ reference: name, storage }: WeightPair, own: Tensors): Promise<Replaced | undefined> {
  const tensor = own.get(name)
  if (tensor === undefined || storage === undefined) return undefined
  const values = await load(tensor)
  return { name, values: decodeValues(storage, encodeValues(storage, values), values.length) }
}

async function unfolded(
  { reference: name, candidate, folding, transform, referenceTensors }: WeightPair,
  own: Tensors,
  others: Tensors,
): Promise<Replaced | undefined> {
  const [tensor, other] = [own.get(name), others.get(candidate)]
  if (!tensor || !other || folding?.epsilon === undefined || folding.unfolded !== 'reference') return undefined
  if (transform !== null && transform.kind !== 'reshape') return undefined
  const norms = await Promise.all(folding.batchNorm.map((each) => own.get(each)).map((each) => each && load(each)))
  const [actual, mine] = [await load(other), await load(tensor)]
  const isKernel = tensor.shape.length >= 2
  // gamma and variance enter a kernel; gamma, beta, mean and variance a bias
  const [gamma, beta, mean, variance] = isKernel ? [norms[0], undefined, undefined, norms[1]] : norms
  if (gamma === undefined || variance === undefined) return undefined
  const { epsilon } = folding
  const scale = Float64Array.from(gamma, (value, channel) => value / Math.sqrt(variance[channel]! + epsilon))
  if (scale.some((value) => value === 0)) return undefined
  if (isKernel) {
    const values = unscaled(mine, actual, scale, tensor.shape)
    return values && { name, values }
  }
  const [shift] = folding.batchNorm.slice(1)
  if (beta === undefined || mean === undefined || shift === undefined) return undefined
  const bias = referenceTensors.includes(name) && name !== shift ? mine : undefined
  const values = Float64Array.from(
    actual,
    (value, channel) => value - ((bias?.[channel] ?? 0) - mean[channel]!) * scale[channel]!,
  )
  return { name: shift, values }
}

/** The folded kernel with its factors taken out again, along the axis where that comes closest to the plain kernel. */
function unscaled(
  plain: Values,
  folded: Values,
  scale: Float64Array,
  shape: readonly number[],
): Float64Array | undefined {
  let best: { values: Float64Array; gap: number } | undefined
  for (const [axis, size] of shape.entries()) {
    if (size !== scale.length) continue
    const inner = elementCount(shape.slice(axis + 1))
    const values = Float64Array.from(folded, (value, at) => value / scale[Math.floor(at / inner) % size]!)
    const gap = values.reduce((sum, value, at) => sum + Math.abs(value - plain[at]!), 0)
    if (best === undefined || gap < best.gap) best = { values, gap }
  }
  return best?.values
}
