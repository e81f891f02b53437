import type { Probe } from './format.ts'

/** A file that we recognise but do not read, and what its owner can do. */
export interface ForeignFile {
  /** with article, e.g. `a Git LFS pointer to an object of 97 MB` */
  readonly name: string
  readonly hint: string
}

/** Names what a file is when none of our formats matches: another format, or something under a model's name. */
export function nameForeign(_probe: Probe): ForeignFile | undefined {
  return undefined
}
