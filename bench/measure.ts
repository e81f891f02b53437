import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** Something that is measured in processes of its own. */
export interface Contender {
  readonly name: string
  readonly command: readonly string[]
}

/** Medians over the rounds. */
export interface Measured {
  readonly name: string
  /** of the work alone, inside the process, after imports */
  readonly milliseconds: number
  readonly range: readonly [lowest: number, highest: number]
  /** of the whole process, start and imports included */
  readonly wallMs: number
  readonly peakBytes: number
  /** what the process said besides */
  readonly said: Readonly<Record<string, unknown>>
}

/** How often each contender runs. */
export const ROUNDS = 5

const folder = join(import.meta.dirname, 'measure')

/** A contender in Node, on the built package. */
export function node(name: string, task: string, ...files: readonly string[]): Contender {
  return { name, command: [process.execPath, join(folder, 'modelwright.mjs'), task, ...files] }
}

/** A contender in Python. */
export function python(name: string, interpreter: string, task: string, ...files: readonly string[]): Contender {
  return { name, command: [interpreter, join(folder, 'libraries.py'), task, ...files] }
}

/**
 * Runs every contender `ROUNDS` times, each time in a fresh process, side by side and in alternating order, after one
 * round that warms the file cache and does not count.
 */
export function measure(contenders: readonly Contender[], rounds: number = ROUNDS): Measured[] {
  const runs = new Map<string, Run[]>(contenders.map(({ name }) => [name, []]))
  for (let round = -1; round < rounds; round++) {
    const order = round % 2 === 0 ? contenders : contenders.toReversed()
    for (const contender of order) {
      const run = runOnce(contender)
      if (round >= 0) runs.get(contender.name)!.push(run)
    }
  }
  return contenders.map(({ name }) => {
    const own = runs.get(name)!
    const times = own.map((run) => run.milliseconds)
    return {
      name,
      milliseconds: median(times),
      range: [Math.min(...times), Math.max(...times)],
      wallMs: median(own.map((run) => run.wallMs)),
      peakBytes: median(own.map((run) => run.peakBytes)),
      said: own[0]!.said,
    }
  })
}

interface Run {
  readonly milliseconds: number
  readonly wallMs: number
  readonly peakBytes: number
  readonly said: Readonly<Record<string, unknown>>
}

function runOnce({ name, command }: Contender): Run {
  const start = performance.now()
  const [program, ...args] = command
  const { stdout, stderr, status } = spawnSync(program!, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
  const wallMs = performance.now() - start
  const line = stdout?.trim().split('\n').at(-1) ?? ''
  if (status !== 0 || !line.startsWith('{')) throw new Error(`${name} failed (${status}): ${stderr?.slice(-2000)}`)
  const { milliseconds, peakBytes, ...said } = JSON.parse(line) as { milliseconds: number; peakBytes: number }
  return { milliseconds, wallMs, peakBytes, said }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A Markdown table, columns padded so that it reads well as plain text too. */
export function printTable(heading: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [heading, ...rows]
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  console.log(line(heading))
  console.log(
    `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`,
  )
  for (const row of rows) console.log(line(row))
  console.log('')
}

export const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0)
/** `x` as people compare: `0.41 x`, `12 x`. */
export const ratio = (x: number) => `${x >= 10 ? x.toFixed(0) : x >= 0.1 ? x.toFixed(2) : x.toPrecision(2)} x`
