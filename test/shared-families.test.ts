import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compareWeights } from '../src/compare/weights/compare-weights.ts'
import type { WeightComparison, WeightPair, WeightSet } from '../src/compare/weights/comparison.ts'
import { openInput } from '../src/host/open-input.ts'
import { layersOf } from '../src/layers/layers-of.ts'
import { readModel } from '../src/tasks/open-model.ts'

/**
 * Pairs of real models whose tensors were matched by others (`families` of the oracle beside them): every pair that
 * the oracle knows must come out, with its layout, folding and epsilon, and no tensor may get another partner.
 */
interface Family {
  readonly a: string
  readonly b: string
  readonly matched: number
  readonly worst_abs_diff?: number
  readonly eps?: number
  readonly note: string
  readonly map?: readonly OraclePair[]
}

interface OraclePair {
  readonly a: string
  readonly b: string
  readonly perm?: readonly number[] | null
  readonly shape_a: readonly number[]
  readonly worst_lsb?: number
}

const folder = resolve(import.meta.dirname, '../../shared/data/models')
const present = existsSync(resolve(folder, 'oracle.json'))
const families: Readonly<Record<string, readonly Family[]>> = present
  ? (JSON.parse(readFileSync(resolve(folder, 'oracle.json'), 'utf8')).families as Record<string, Family[]>)
  : {}

/** Files that our readers name but do not read, by their path. */
const NOT_READ = /joblib-lz4/

async function weightSet(file: string): Promise<WeightSet> {
  // what the oracle calls a shard is opened by its manifest; a `.bin` of ncnn by its `.param`
  const path = file.replace(/-shard1$/, '-weights_manifest.json').replace(/\.bin$/, '.param')
  const input = await openInput(resolve(folder, path))
  const model = await readModel(input)
  const { framework } = model.metadata
  return { tensors: model.tensors, layers: await layersOf(model), ...(framework === undefined ? {} : { framework }) }
}

const compareFiles = async ({ a, b }: Family): Promise<WeightComparison> =>
  compareWeights(await weightSet(a), await weightSet(b))

describe.skipIf(!present)('pairs of real models (skipped: ../shared is absent)', () => {
  for (const [name, list] of Object.entries(families)) {
    for (const family of list) {
      const title = `${name}: ${family.a} against ${family.b}`
      if (NOT_READ.test(family.b) || /WRONG eps/.test(family.note)) continue
      if (name.endsWith('NEGATIVE')) test(`${title} is no match`, () => checkNegative(family))
      else test(title, () => checkFamily(family))
    }
  }
})

async function checkNegative(family: Family): Promise<void> {
  const { verdict, pairs } = await compareFiles(family)
  expect(verdict).toBe('mismatch')
  expect(
    pairs.filter(({ relation }) => relation === 'exact' || relation === 'layout' || relation === 'folded'),
  ).toEqual([])
}

async function checkFamily(family: Family): Promise<void> {
  const { verdict, reason, pairs, epsilon, unpaired } = await compareFiles(family)
  const rows = (family.map ?? []).map((row) => ({ row, pair: pairs.find((pair) => isOf(pair, row)) }))
  expect(rows.filter(({ pair }) => pair === undefined).map(({ row }) => `${row.a} | ${row.b}`)).toEqual([])
  const known = new Set(rows.map(({ pair }) => pair))
  expect(
    pairs
      .filter((pair) => !known.has(pair) && pair.accepted && family.map)
      .map(({ reference, candidate }) => `${reference} | ${candidate}`),
  ).toEqual([])
  for (const { row, pair } of rows) expect(describeMove(pair!, row), `${row.a} | ${row.b}`).toBe(expectedMove(row))
  expect(Math.max(...pairs.map(({ maxAbs }) => maxAbs))).toBeLessThanOrEqual((family.worst_abs_diff ?? 0) * 1.5)
  expect([verdict, reason]).toEqual(['match', expect.stringContaining('agree')])
  expect(unpaired.reference.filter(({ matters }) => matters)).toEqual([])
  const folded = pairs.filter(({ folding }) => folding !== undefined)
  if (family.eps === undefined) expect(folded).toEqual([])
  else expect(epsilon).toBe(family.eps)
  for (const { row, pair } of rows) {
    if (row.worst_lsb === undefined) continue
    expect(pair!.relation).toBe('quantised')
    expect(pair!.maxSteps).toBeCloseTo(row.worst_lsb, 3)
  }
}

/** `NAME|fold` is a kernel with BatchNorm multiplied in, `PREFIX.|fbias` the bias that results. */
function isOf({ referenceTensors, candidateTensors }: WeightPair, { a, b }: OraclePair): boolean {
  const [name, kind] = b.split('|')
  const hasCandidate =
    kind === 'fbias'
      ? candidateTensors.some((tensor) => isIn(tensor, name!)) &&
        candidateTensors.every((tensor) => !/\.weight$/.test(tensor) || isIn(tensor, name!))
      : candidateTensors.some((tensor) => isIn(tensor, name!))
  return referenceTensors.includes(a) && hasCandidate
}

/** Oracle names are shorter for HDF5: `conv2d/kernel` for `model_weights/conv2d/conv2d/kernel:0`. */
function isIn(tensor: string, name: string): boolean {
  if (tensor === name || (name.endsWith('.') && tensor.startsWith(name))) return true
  const plain = tensor.replace(/:0$/, '').replace(/^model_weights\/([^/]+)\/\1\//, '$1/')
  return plain === name || (name.endsWith('.') && plain.startsWith(`${name.slice(0, -1)}/`))
}

/** Order of the axes wider than 1: the others move nothing. */
const expectedMove = ({ perm, shape_a }: OraclePair) =>
  perm == null ? 'as they are' : named(perm.filter((axis) => shape_a[axis]! > 1))

function describeMove({ transform }: WeightPair, { shape_a }: OraclePair): string {
  if (transform === null || transform.kind === 'reshape')
    return named(shape_a.flatMap((size, axis) => (size > 1 ? [axis] : [])))
  expect(transform.kind).toBe('permutation')
  return named(transform.permutation!.filter((axis) => (transform.view ?? shape_a)[axis]! > 1))
}

function named(order: readonly number[]): string {
  return order.every((axis, at) => at === 0 || order[at - 1]! < axis) ? 'as they are' : `axes ${order.join(', ')}`
}
