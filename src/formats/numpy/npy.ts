import { startsWith } from '../../bytes/byte-reader.ts'
import type { Limits } from '../../bytes/limits.ts'
import type { Model } from '../../model/model.ts'
import type { Format, ModelInput } from '../format.ts'
import { readArrayFile } from './array-file.ts'
import { NPY_MAGIC } from './npy-header.ts'

/**
 * One NumPy array in a file. Nothing in it names the array, so its name is empty; arrays inside a pickled dict are
 * called by their keys.
 */
export const npy: Format = {
  id: 'npy',
  title: 'NumPy array (.npy)',
  extensions: ['.npy'],
  spec: 'https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html',
  match: (probe) => (startsWith(probe.head, NPY_MAGIC) ? 'yes' : 'no'),
  read,
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const place = { source: main, open: async () => main, size: main.size, storage: { file: main.name, byteOffset: 0 } }
  const file = await readArrayFile({ ...place, name: '', prefix: [] }, limits)
  const isPickle = file.header.type.kind === 'object'
  return {
    format: 'npy',
    ...(isPickle ? { variant: 'pickled Python objects' } : {}),
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: { formatVersion: file.header.version, producer: 'numpy' },
    tensors: file.tensors,
    graphs: [],
    ...(isPickle ? { references: file.references } : {}),
    warnings: file.warnings,
  }
}
