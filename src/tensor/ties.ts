import type { Tensor } from './tensor.ts'

/**
 * What tied tensors have in common: the same stored memory from the same byte on. Slices of one storage share its key
 * but begin elsewhere, and are not tied.
 * @returns undefined for tensors of formats that cannot share
 */
export function tieKey({ storage }: Pick<Tensor, 'storage'>): string | undefined {
  return storage?.key === undefined ? undefined : `${storage.key} ${storage.byteOffset ?? ''}`
}
