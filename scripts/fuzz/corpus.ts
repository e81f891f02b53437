import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { ModelInput } from '../../src/formats/format.ts'
import { identify } from '../../src/formats/identify.ts'
import { FORMATS } from '../../src/formats/registry.ts'
import { memoryInput } from '../../test/memory-input.ts'
import { FUZZ_LIMITS, type FuzzCase } from './case.ts'

/** A case to start from, with the files of it that are worth damaging. */
export interface Seed extends FuzzCase {
  /** path of the fixture */
  readonly origin: string
  readonly victims: readonly string[]
}

const FOLDERS = ['examples/digits', 'test/fixtures']
/** Larger files say nothing more and take longer. */
const MAX_SEED_BYTES = 96 * 1024

/**
 * Every fixture of the repository that a reader knows, with the partner files that the reader opens: one seed for each
 * file, and one for each folder that is a model. Files that no reader knows are seeds of the format `none`.
 */
export async function findSeeds(root: string): Promise<Seed[]> {
  const seeds: Seed[] = []
  for (const folder of FOLDERS) {
    const names = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    const paths = names
      .filter((entry) => entry.isFile() && !/\.(md|py|png|gitignore)$|^(oracle|manifest)\.json$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
    for (const path of paths) {
      const files = neighbours(dirname(path))
      const seed = await trySeed(relative(root, path), files, basename(path))
      if (seed) seeds.push(seed)
      if (basename(path) === 'saved_model.pb') {
        const whole = await trySeed(relative(root, dirname(path)), files, undefined)
        if (whole) seeds.push(whole)
      }
    }
  }
  return seeds
}

function neighbours(folder: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {}
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name)
    const { size } = statSync(path)
    if (statSync(path).isFile() && size <= MAX_SEED_BYTES) files[name] = new Uint8Array(readFileSync(path))
  }
  return files
}

async function trySeed(
  origin: string,
  all: Readonly<Record<string, Uint8Array>>,
  main: string | undefined,
): Promise<Seed | undefined> {
  if (main !== undefined && all[main] === undefined) return undefined
  const opened = new Set<string>(main === undefined ? [] : [main])
  const input = memoryInput(all, main)
  const spy: ModelInput = {
    ...input,
    async open(path) {
      if (all[path] !== undefined) opened.add(path)
      return input.open(path)
    },
  }
  const format = await readWith(spy)
  const victims = [...opened].filter((name) => all[name]!.length > 0)
  if (victims.length === 0) return undefined
  const files = Object.fromEntries([...opened].map((name) => [name, all[name]!]))
  return { format, files, main, origin, victims }
}

/** Id of the format that `input` is of. A fixture may be a broken one: what it opened until then is what counts. */
async function readWith(input: ModelInput): Promise<string> {
  let id = 'none'
  try {
    const format = await identify(input, FUZZ_LIMITS)
    id = format.id
    await format.read(input, FUZZ_LIMITS)
  } catch {
    // Whatever is wrong here shows again, and is reported, when the seed itself is run as the first case.
  }
  return id
}

/** All formats that have a seed, and those that have none. */
export function groupSeeds(seeds: readonly Seed[]): Map<string, Seed[]> {
  const groups = new Map<string, Seed[]>()
  for (const id of [...FORMATS.map((format) => format.id), 'none']) groups.set(id, [])
  for (const seed of seeds) groups.get(seed.format)?.push(seed)
  return groups
}
