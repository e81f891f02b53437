import type { Limits } from '../../bytes/limits.ts'
import type { StoredType } from '../../encoding/hdf5/datatype.ts'
import { describeType } from '../../encoding/hdf5/datatype.ts'
import type { Hdf5Dataset, Hdf5File } from '../../encoding/hdf5/open-hdf5.ts'
import { FormatError } from '../../errors.ts'
import type { Problem } from '../../model/model.ts'
import { DTYPES, type Dtype } from '../../tensor/dtype.ts'
import type { Tensor, TensorRole } from '../../tensor/tensor.ts'

/** The tensors of an HDF5 file, in file order, and what of it is not among them. */
export interface DatasetTensors {
  readonly tensors: readonly Tensor[]
  readonly warnings: readonly Problem[]
}

/**
 * Every dataset of numbers or text as a tensor named after its path. Datasets of other types (compounds, references,
 * opaque bytes without a type), and those whose values lie in other files, are warnings.
 *
 * @param options `source` is the file's name in messages; `roleOf` says what a path is for
 */
export async function readDatasetTensors(
  file: Hdf5File,
  options: { source: string; roleOf: (path: string) => TensorRole; limits: Limits },
): Promise<DatasetTensors> {
  const tensors: Tensor[] = []
  const warnings: Problem[] = file.remarks.map(({ code, message, path }) => ({ code, message, subject: path }))
  for (const dataset of file.objects) {
    if (dataset.kind !== 'dataset') continue
    const { path, header } = dataset
    const element = await elementOf(dataset)
    const elsewhere = header.layout.kind === 'virtual' || header.external
    if (element === undefined || elsewhere) {
      const why = element === undefined ? `it holds ${describeType(header.type)}` : header.obstacle
      warnings.push({ code: 'UNREAD_DATASET', message: `dataset "${path}" is not listed: ${why}`, subject: path })
      continue
    }
    if (header.obstacle !== undefined) {
      const message = `the values of dataset "${path}" cannot be read: ${header.obstacle}`
      warnings.push({ code: 'UNREAD_DATASET', message, subject: path })
    }
    if (header.space.kind === 'null') {
      const message = `dataset "${path}" has a type but no elements at all (a null dataspace)`
      warnings.push({ code: 'NULL_DATASET', message, subject: path })
    }
    tensors.push(await defineTensor(dataset, element, options))
  }
  return { tensors, warnings }
}

interface Element {
  readonly dtype: Dtype
  /** dimensions that the type adds behind the dataset's own */
  readonly inner: readonly number[]
}

async function elementOf({ header, attributes }: Hdf5Dataset): Promise<Element | undefined> {
  const { type } = header
  if (type.kind === 'array') {
    const dtype = dtypeOf(type.base)
    return dtype && { dtype, inner: type.shape }
  }
  const dtype = dtypeOf(type)
  if (dtype !== undefined) return { dtype, inner: [] }
  if (type.kind !== 'opaque') return undefined
  // Keras writes what HDF5 has no type for (bfloat16) as opaque bytes with the type's name beside them.
  const name = await attributes.get('dtype')
  if (typeof name !== 'string' || !Object.hasOwn(DTYPES, name)) return undefined
  return DTYPES[name as Dtype].bits === type.size * 8 ? { dtype: name as Dtype, inner: [] } : undefined
}

function dtypeOf(type: StoredType): Dtype | undefined {
  if (type.kind === 'number') return type.name
  return type.kind === 'string' || type.kind === 'vlen-string' ? 'string' : undefined
}

async function defineTensor(
  dataset: Hdf5Dataset,
  { dtype, inner }: Element,
  { source, roleOf, limits }: { source: string; roleOf: (path: string) => TensorRole; limits: Limits },
): Promise<Tensor> {
  const { path, header, range, address } = dataset
  const own = header.space.kind === 'null' ? [0] : header.space.shape
  const numbers = header.type.kind === 'array' ? header.type.base : header.type
  const swapUnit = numbers.kind === 'number' ? numbers.swap : 0
  return {
    name: path,
    dtype,
    shape: [...own, ...inner],
    bytes: dtype === 'string' ? await measureText(dataset, source, limits) : header.bytes,
    role: roleOf(path),
    storage: {
      file: source,
      key: `${source}@${address}`,
      ...(range ? { byteOffset: range.offset, byteLength: range.length } : {}),
      ...(swapUnit > 1 ? { swapUnit } : {}),
    },
    stream: () => dataset.stream(),
  }
}

/** Text has no fixed width, so its length is known only when it has been walked once: bounded as strings are. */
async function measureText(dataset: Hdf5Dataset, source: string, limits: Limits): Promise<number> {
  let bytes = 0
  if (dataset.header.obstacle !== undefined) return 0
  for await (const piece of dataset.stream()) {
    bytes += piece.length
    if (bytes > limits.maxStringBytes) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file: source,
        what: `dataset "${dataset.path}"`,
        expected: `at most ${limits.maxStringBytes} bytes of text`,
        found: 'more',
      })
    }
  }
  return bytes
}
