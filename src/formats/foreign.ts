import { ARCHIVES } from './foreign/archives.ts'
import { BINARIES, PROTOBUFS } from './foreign/binaries.ts'
import { DOWNLOADS } from './foreign/downloads.ts'
import { FOLDERS, NAMES } from './foreign/names.ts'
import { PICKLES } from './foreign/pickles.ts'
import { TEXTS } from './foreign/texts.ts'
import { describe, type ForeignRow, viewOf } from './foreign/view.ts'
import type { Probe } from './format.ts'

/** A file that we recognise but do not read, and what its owner can do. */
export interface ForeignFile {
  /** with article, e.g. `a Git LFS pointer to an object of 97 MB` */
  readonly name: string
  readonly hint: string
}

/** The first row that recognises a file names it: signatures, then structure, then text, then the name. */
const ROWS: readonly ForeignRow[] = [
  ...FOLDERS,
  ...DOWNLOADS,
  ...PICKLES,
  ...BINARIES,
  ...ARCHIVES.slice(0, -1),
  ...PROTOBUFS,
  ...NAMES,
  ...ARCHIVES.slice(-1),
  ...TEXTS,
]

/**
 * Names what a file is when none of our formats matches: another format, or something under a model's name. Random
 * bytes stay unnamed: nothing is guessed.
 */
export function nameForeign(probe: Probe): ForeignFile | undefined {
  const view = viewOf(probe)
  const row = ROWS.find(({ when }) => when(view))
  return row && describe(row, view)
}
