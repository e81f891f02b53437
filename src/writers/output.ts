/**
 * What a writer produces: files described by their bytes, none of which exists yet. The host writes them, whole or not
 * at all; tests keep them in memory.
 */
export interface Output {
  /** id of the format, as in `formats/registry.ts` */
  readonly format: string
  /**
   * `copy`: the target's own files with the values of tensors replaced and all else as it was; `fresh`: a new file of
   * weights
   */
  readonly kind: 'copy' | 'fresh'
  /** the user names a folder, and every file has a path in it */
  readonly isFolder: boolean
  /** the main file first */
  readonly files: readonly PlannedFile[]
}

/** One file of an Output. */
export interface PlannedFile {
  /**
   * Where it belongs: empty for the main file, which the user names; for others the path relative to the folder of the
   * main file (or to the folder, where that is what the user names), with `/`, never absolute, never with `..`.
   */
  readonly path: string
  /** final length in bytes */
  readonly bytes: number
  /** Its content. Pieces cover it without holes; a later piece may overwrite an earlier one (checksums). */
  pieces(): AsyncIterable<Piece>
}

/** Bytes for a place in a file. They may share memory with a source: nobody writes to them. */
export interface Piece {
  /** from the beginning of the file */
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Content that comes in order, as pieces. */
export async function* inOrder(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let offset = 0
  for await (const bytes of chunks) {
    if (bytes.length > 0) yield { offset, bytes }
    offset += bytes.length
  }
}
