/**
 * Feeds damaged model files to every reader: `npm run fuzz`.
 *
 * Starts from the repository's fixtures, changes them, and keeps what reaches new code or a new kind of error as a
 * start for further changes. A case is: recognise, read, validate, stream every value, inspect. It fails when it ends in
 * anything but a result or a FormatError, takes over a second, or takes more memory than stated; the input is then
 * kept for `--replay`. docs/robustness.md tells more.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { watchAllocations } from './fuzz/allocations.ts'
import { BUILT_SEEDS } from './fuzz/built-seeds.ts'
import { MAX_CASE_BYTES, runCase } from './fuzz/case.ts'
import { decodeCase } from './fuzz/case-file.ts'
import { findSeeds, groupSeeds, type Seed } from './fuzz/corpus.ts'
import type { Job } from './fuzz/explore.ts'
import { type JobResult, runJob } from './fuzz/pool.ts'
import type { Failure, FailureKind } from './fuzz/protocol.ts'

const root = join(import.meta.dirname, '..')
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    inputs: { type: 'string' },
    formats: { type: 'string' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    save: { type: 'string', default: join(root, '.cache/fuzz') },
    replay: { type: 'string' },
    'no-coverage': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})

if (options.replay === undefined) process.exitCode = (await fuzz()) ? 0 : 1
else await replay(options.replay)

async function replay(path: string): Promise<void> {
  const bytes = new Uint8Array(readFileSync(path))
  watchAllocations()
  const input = path.endsWith('.case')
    ? decodeCase(bytes)
    : { format: '', files: { [basename(path)]: bytes }, main: basename(path) }
  console.log(await runCase(input))
}

async function fuzz(): Promise<boolean> {
  const groups = groupSeeds([...(await findSeeds(root)), ...BUILT_SEEDS])
  const wanted = options.formats?.split(',')
  const formats = [...groups].filter(([id, seeds]) => (wanted?.includes(id) ?? true) && seeds.length > 0)
  const inputs = Number(options.inputs ?? (options.quick ? 3600 : 216_000))
  const queue = makeJobs(formats, inputs)
  const results = new Map<string, JobResult[]>()
  const failures = new Map<string, { failure: Failure; count: number }>()
  const start = performance.now()
  const next = async (): Promise<void> => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const result = await runJob(job, (failure) => noteFailure(failures, failure))
      results.set(job.format, [...(results.get(job.format) ?? []), result])
      const seconds = Math.round((performance.now() - start) / 1000)
      if (options.verbose)
        console.error(`${seconds} s: ${job.format} ${result.counts.inputs} inputs, ${queue.length} jobs left`)
    }
  }
  await Promise.all(Array.from({ length: Number(options.workers) }, next))
  const missing = [...groups].filter(([id, seeds]) => seeds.length === 0 && id !== 'none').map(([id]) => id)
  return printReport({ results, failures, groups, missing, seconds: (performance.now() - start) / 1000 })
}

/**
 * Two halves per format with seeds of their own, so that one slow format does not end the run alone; the quick form
 * has one, since each costs the start of a thread.
 */
function makeJobs(formats: readonly (readonly [string, readonly Seed[]])[], inputs: number): Job[] {
  const parts = options.quick ? [0] : [0, 1]
  const share = Math.ceil(inputs / formats.length / parts.length)
  const halves = parts.flatMap((half) => formats.map(([format, seeds], index) => ({ half, format, seeds, index })))
  return halves.map(({ half, format, seeds, index }) => ({
    format,
    seeds: options.quick ? smallest(seeds) : seeds,
    inputs: share,
    seed: Number(options.seed) * 1009 + index * 2 + half,
    // One half cuts files and is guided by new kinds of errors; the other by new code too, which makes it run slower.
    cuts: half === 0 ? 0.35 : 0,
    coverage: half === 1 && !options.quick && !options['no-coverage'],
  }))
}

function smallest(seeds: readonly Seed[]): Seed[] {
  const size = (seed: Seed) => Object.values(seed.files).reduce((sum, content) => sum + content.length, 0)
  return [...seeds].sort((left, right) => size(left) - size(right)).slice(0, 24)
}

function noteFailure(failures: Map<string, { failure: Failure; count: number }>, failure: Failure): void {
  const where = /\n\s+at [^\n]*\/src\/([^\n)]*)/.exec(failure.detail)?.[1] ?? ''
  const key = `${failure.kind} ${failure.format} ${failure.signature} ${where}`
  const known = failures.get(key)
  if (known) known.count++
  else {
    failures.set(key, { failure, count: 1 })
    mkdirSync(options.save, { recursive: true })
    const path = join(options.save, `${failure.format}-${failure.kind}-${failures.size}.case`)
    writeFileSync(path, failure.encoded)
    console.error(
      `${failure.kind} in ${failure.format}: ${failure.detail.split('\n').slice(0, 4).join('\n')}\n  replay: npm run fuzz -- --replay ${path}`,
    )
  }
}

interface Report {
  readonly results: ReadonlyMap<string, readonly JobResult[]>
  readonly failures: ReadonlyMap<string, { failure: Failure; count: number }>
  readonly groups: ReadonlyMap<string, readonly Seed[]>
  readonly missing: readonly string[]
  readonly seconds: number
}

function printReport({ results, failures, groups, missing, seconds }: Report): boolean {
  const rows = [
    [
      'format',
      'fixtures',
      'inputs',
      'read',
      'refused',
      'other',
      'slowest ms',
      'peak MB',
      'kinds of outcome',
      'new seeds',
      'source covered',
    ],
  ]
  let inputs = 0
  for (const [format, parts] of [...results].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const sum = (pick: (result: JobResult) => number) => parts.reduce((total, part) => total + pick(part), 0)
    const most = (pick: (result: JobResult) => number) => Math.max(...parts.map(pick))
    inputs += sum(({ counts }) => counts.inputs)
    rows.push([
      format,
      String(groups.get(format)?.length ?? 0),
      String(sum(({ counts }) => counts.inputs)),
      String(sum(({ counts }) => counts.read)),
      String(sum(({ counts }) => counts.refused)),
      String(sum(({ counts }) => counts.other)),
      most(({ counts }) => counts.slowestMs).toFixed(0),
      (most(({ counts }) => counts.peakBytes) / 1e6).toFixed(1),
      String(new Set(parts.flatMap(({ signatures }) => signatures)).size),
      String(sum(({ found }) => found)),
      `${Math.round(most(({ covered }) => covered) / 1000)} k`,
    ])
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  '),
    )
  if (missing.length > 0) console.log(`no fixture yet: ${missing.join(', ')}`)
  const of = (kind: FailureKind) => [...failures.values()].filter(({ failure }) => failure.kind === kind)
  const count = (kind: FailureKind) => of(kind).reduce((total, entry) => total + entry.count, 0)
  console.log(
    `${Math.round(seconds)} s on ${options.workers} threads of ${cpus()[0]?.model ?? 'an unknown processor'}, Node ${process.version}; ` +
      `deadline 1 s, ${MAX_CASE_BYTES >> 20} MB per input, seed ${options.seed}; peak of the whole process ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`,
  )
  console.log(
    `fuzz: ${inputs} inputs, ${count('crash')} crashes, ${count('hang')} hangs, ${count('memory')} over memory`,
  )
  return failures.size === 0
}
