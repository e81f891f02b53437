import type { ByteSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import type { Model } from '../model/model.ts'

/**
 * The contract that every reader fulfils.
 *
 * `match` decides by content, without I/O: it sees what `identify` gathered once for all formats. `read` gives the
 * Model or throws a FormatError; whatever it can go on without becomes a warning of the Model. A reader never reads
 * tensor values, never executes anything, and bounds every number it takes from the file before it uses it.
 */
export interface Format {
  /** kebab-case, stable: part of the JSON output */
  readonly id: string
  /** as people say it: `ONNX`, `PyTorch checkpoint` */
  readonly title: string
  /** usual file names, for hints only: content decides */
  readonly extensions: readonly string[]
  /** where the format is specified */
  readonly spec: string
  match(probe: Probe): Match
  read(input: ModelInput, limits: Limits): Promise<Model>
}

/**
 * - `yes`: the content says so (magic bytes, structure)
 * - `maybe`: nothing contradicts, but the format has no signature (Darknet weights, ncnn bin): taken only when no
 *   other format says yes, with the extension or a partner file to break the tie
 * - `no`
 */
export type Match = 'yes' | 'maybe' | 'no'

/** What `identify` knows of a file before any reader is chosen. */
export interface Probe {
  /** file name without folders, lower case; a hint, never a proof */
  readonly fileName: string
  /** in bytes */
  readonly size: number
  /** the first 64 KiB at most */
  readonly head: Uint8Array
  /** the last 1 KiB at most */
  readonly tail: Uint8Array
  /** names of the entries, when the file is a zip archive that can be opened */
  readonly zipEntries?: readonly string[]
  /** names of files beside it (or inside, for a folder), lower case */
  readonly siblings: readonly string[]
  readonly isFolder: boolean
}

/** What a reader may see of the place it reads from: one file with its neighbours, or one folder. */
export interface ModelInput {
  /** as the user gave it */
  readonly path: string
  readonly isFolder: boolean
  /** absolute path of that folder on disk, for a runtime that opens partner files itself; absent in memory */
  readonly folder?: string
  /** the opened file; for a folder an empty source */
  readonly main: ByteSource
  /**
   * A partner file by path relative to the folder of `main` (or to the folder itself).
   * @returns undefined when there is none
   * @throws {FormatError} UNSAFE for absolute paths, `..`, or links that lead outside the folder
   */
  open(relativePath: string): Promise<ByteSource | undefined>
  /** file names in the folder of `main`, or in the folder itself; at most a few thousand, sorted; folders end in `/` */
  list(relativeFolder?: string): Promise<readonly string[]>
}
