import { type FuzzCase, type Outcome, runCase } from './case.ts'
import type { Seed } from './corpus.ts'
import type { Coverage } from './coverage.ts'
import { mutateContent } from './mutate.ts'
import { type Dice, dice } from './random.ts'

/** Part of a run: so many inputs from the seeds of one format. */
export interface Job {
  readonly format: string
  readonly seeds: readonly Seed[]
  readonly inputs: number
  readonly seed: number
  /** share of the inputs that are files cut at each byte in turn */
  readonly cuts: number
  readonly coverage: boolean
}

/** Cases of one measurement of coverage: reading the counters costs more than a case. */
const BATCH = 24
/** Seeds kept per format beside the fixtures. */
const MAX_FOUND_SEEDS = 600
const MAX_SEED_BYTES = 64 * 1024

/** The cases of a job, one after the other; `run` executes one and tells its outcome. */
export async function explore(
  job: Job,
  coverage: Coverage | undefined,
  run: (input: FuzzCase) => Promise<Outcome>,
): Promise<{ found: number }> {
  const random = dice(job.seed)
  const corpus: Seed[] = [...job.seeds]
  const signatures = new Set<string>()
  let found = 0
  const keep = (parent: Seed, input: FuzzCase) => {
    const size = Object.values(input.files).reduce((sum, content) => sum + content.length, 0)
    if (size > MAX_SEED_BYTES) return
    found++
    const seed: Seed = {
      ...input,
      origin: parent.origin,
      victims: parent.victims.filter((name) => input.files[name] !== undefined),
    }
    if (seed.victims.length === 0) return
    if (corpus.length < job.seeds.length + MAX_FOUND_SEEDS) corpus.push(seed)
    else corpus[job.seeds.length + random.int(MAX_FOUND_SEEDS)] = seed
  }

  let left = job.inputs
  for (const seed of job.seeds.slice(0, left)) {
    left--
    signatures.add((await run(seed)).signature)
  }
  for (const input of cutsOf(job.seeds, Math.floor(left * job.cuts), random)) {
    left--
    signatures.add((await run(input)).signature)
  }
  coverage?.merge(coverage.take())
  while (left > 0) {
    const batch: { parent: Seed; input: FuzzCase }[] = []
    for (; batch.length < BATCH && left > 0; left--) {
      // Half from sound files, so that the crowd of damaged ones does not hide what lies behind the first check.
      const from = random.chance(0.5) ? job.seeds : corpus
      const parent = random.pickWeighted(from, weigh)
      const input = derive(parent, corpus, random)
      batch.push({ parent, input })
      const { signature } = await run(input)
      if (signatures.has(signature)) continue
      signatures.add(signature)
      keep(parent, input)
    }
    const covered = coverage?.take()
    if (covered === undefined || !coverage!.isNew(covered)) continue
    // Which of them reached the new code: each again, alone.
    for (const { parent, input } of batch) {
      await runCase(input)
      const own = coverage!.take()
      if (!coverage!.isNew(own)) continue
      coverage!.merge(own)
      keep(parent, input)
    }
    coverage!.merge(covered)
  }
  return { found }
}

/** Small seeds more often: they run faster, and a change hits structure rather than values. */
function weigh(seed: Seed): number {
  const size = Object.values(seed.files).reduce((sum, content) => sum + content.length, 0)
  return 1 / (size + 2048)
}

/** Every length of the smallest files first; what the budget does not cover is left to chance. */
function* cutsOf(seeds: readonly Seed[], budget: number, random: Dice): Generator<FuzzCase> {
  const parts = seeds
    .flatMap((seed) => seed.victims.map((name) => ({ seed, name, content: seed.files[name]! })))
    .sort((left, right) => left.content.length - right.content.length)
  let left = budget
  for (const { seed, name, content } of parts) {
    // Past the budget for every byte: a stride that still reaches each file.
    const stride = content.length <= left / 2 ? 1 : Math.ceil(content.length / Math.max(1, Math.min(left / 4, 200)))
    for (
      let length = stride === 1 ? 0 : random.int(stride);
      length < content.length && left > 0;
      length += stride, left--
    ) {
      yield { ...seed, files: { ...seed.files, [name]: content.subarray(0, length) } }
    }
  }
}

function derive(parent: Seed, corpus: readonly Seed[], random: Dice): FuzzCase {
  const name = random.pick(parent.victims)
  const donor = random.pick(corpus)
  const other = donor.files[donor.main !== undefined && random.chance(0.5) ? donor.main : random.pick(donor.victims)]!
  const files: Record<string, Uint8Array> = { ...parent.files }
  if (parent.victims.length > 1 && random.chance(0.03)) {
    const second = random.pick(parent.victims)
    const choice = random.int(3)
    if (choice === 0) [files[name], files[second]] = [files[second]!, files[name]!]
    else if (choice === 1) files[second] = new Uint8Array(0)
    else if (second !== parent.main) delete files[second]
  } else {
    files[name] = mutateContent(files[name]!, other, random)
  }
  return { format: parent.format, files, main: parent.main }
}
