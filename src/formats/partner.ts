import type { ByteSource } from '../bytes/byte-source.ts'
import { FormatError } from '../errors.ts'
import type { ModelInput } from './format.ts'

/** Files of the wanted kind beyond this number are not tried: a folder of that size says nothing by "the only one". */
const MAX_TRIED = 24

/** What the search for the second half of a two-file model ended in. */
export type Partner =
  | { readonly found: ByteSource; readonly name: string; readonly by: 'name' | 'content' }
  | {
      readonly found: undefined
      /** files of the right kind that were there, none of them the only one that fits */
      readonly candidates: readonly string[]
      /** the candidates whose content fits: none, or more than one */
      readonly fitting: readonly string[]
    }

/**
 * The file beside `input` that completes it: the one with the same stem, else the only one whose content fits.
 * Never a guess: two that fit are as good as none.
 *
 * @param own extensions that may end the opened file's name; the longest that matches is cut to get its stem
 * @param wanted extensions of the partner, in order of preference
 * @param fits whether the content belongs to the opened file; a FormatError counts as no
 */
export async function findPartner(
  input: ModelInput,
  own: readonly string[],
  wanted: readonly string[],
  fits: (source: ByteSource) => Promise<boolean>,
): Promise<Partner> {
  const ownName = baseName(input.path).toLowerCase()
  const stem = cutExtension(ownName, own)
  const names = (await input.list()).filter(
    (name) =>
      !name.endsWith('/') &&
      name.toLowerCase() !== ownName &&
      wanted.some((extension) => name.toLowerCase().endsWith(extension)),
  )
  for (const extension of wanted) {
    const name = names.find((candidate) => candidate.toLowerCase() === stem + extension)
    const found = name === undefined ? undefined : await input.open(name)
    if (found && name !== undefined) return { found, name, by: 'name' }
  }
  const fitting: { name: string; source: ByteSource }[] = []
  for (const name of names.slice(0, MAX_TRIED)) {
    const source = await input.open(name)
    if (source && (await attempt(() => fits(source)))) fitting.push({ name, source })
  }
  const [only] = fitting
  if (only && fitting.length === 1 && names.length <= MAX_TRIED)
    return { found: only.source, name: only.name, by: 'content' }
  return { found: undefined, candidates: names, fitting: fitting.map(({ name }) => name) }
}

/** Last part of a path. */
export function baseName(path: string): string {
  return path.replaceAll('\\', '/').split('/').at(-1) ?? path
}

function cutExtension(name: string, extensions: readonly string[]): string {
  const matching = extensions.filter((extension) => name.endsWith(extension)).sort((x, y) => y.length - x.length)
  return matching[0] === undefined ? name.replace(/\.[^.]*$/, '') : name.slice(0, -matching[0].length)
}

async function attempt(fits: () => Promise<boolean>): Promise<boolean> {
  try {
    return await fits()
  } catch (error) {
    // A damaged neighbour is not our partner; it is not what the user opened, so it is not reported either.
    if (error instanceof FormatError) return false
    throw error
  }
}
