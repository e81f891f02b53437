import { startsWith } from '../../bytes/byte-reader.ts'

/** Names of the members of the tar archives that torch wrote before 0.1.12. */
const TAR_MEMBERS = ['sys_info', 'storages', 'tensors', 'pickle']

/**
 * Names files that torch or its tools wrote and that this reader does not read; undefined for any other.
 *
 * @param head beginning of the file
 * @param entries of the zip archive, when it is one
 */
export function nameRelative(head: Uint8Array, entries: readonly string[]): string | undefined {
  if (startsWith(head, 'ustar', 257) && TAR_MEMBERS.some((name) => startsWith(head, `${name}\0`))) {
    return 'a tar file of torch before 0.1.12 (2017)'
  }
  if (startsWith(head, 'PTMF', 4)) return 'a flatbuffer model for the PyTorch Mobile interpreter (.ptl)'
  if (startsWith(head, 'ET', 4) && /^ET\d\d$/.test(String.fromCharCode(...head.subarray(4, 8)))) {
    return 'an ExecuTorch program (.pte)'
  }
  const has = (pattern: RegExp) => entries.some((name) => pattern.test(name))
  if (has(/^([^/]+\/)?data\.pkl$/)) return undefined
  if (has(/^([^/]+\/)?archive_format$/) || has(/(^|\/)serialized_exported_program\.json$/)) {
    return 'an exported program of torch.export (.pt2)'
  }
  if (has(/^[^/]+\/\.data\/extern_modules$/)) return 'a torch.package archive, which holds code and pickles'
  if (has(/^[^/]+\/model\.json$/) && has(/^[^/]+\/tensors\//)) return 'a TorchScript archive of torch before 1.4'
  return undefined
}
