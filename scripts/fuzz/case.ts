import { DEFAULT_LIMITS, type Limits } from '../../src/bytes/limits.ts'
import { FormatError, ToolError } from '../../src/errors.ts'
import { renderInspection } from '../../src/report/render-inspection.ts'
import { PLAIN } from '../../src/report/text.ts'
import { inspect } from '../../src/tasks/inspect.ts'
import { readModel } from '../../src/tasks/open-model.ts'
import { memoryInput } from '../../test/memory-input.ts'
import { allocated, OverMemory, restartAllocations } from './allocations.ts'
import { writeEverything } from './write-case.ts'

/** What the readers are given: files in memory and the one that is opened (none: the folder). */
export interface FuzzCase {
  /** the seed's format; the damaged file may be recognised as another */
  readonly format: string
  readonly files: Readonly<Record<string, Uint8Array>>
  readonly main?: string | undefined
}

export type Verdict = 'read' | 'refused' | 'crash' | 'memory'

export interface Outcome {
  readonly verdict: Verdict
  /** error class with numbers and names taken out, e.g. `INVALID_FIELD tensor "": expected at most # dimensions` */
  readonly signature: string
  readonly milliseconds: number
  readonly peakBytes: number
  /** of a crash: message and stack */
  readonly detail?: string
}

/** Limits under which every case runs: small, so that a case that holds them cannot take much. */
export const FUZZ_LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  maxHeaderBytes: 16 << 20,
  maxStringBytes: 4 << 20,
  maxItems: 100_000,
  maxInflatedBytes: 64 << 20,
}

/** Values read in one case, over all tensors. */
const MAX_STREAMED_BYTES = 64 << 20

/** A model of more bytes is not written: that takes several copies of it. */
const MAX_WRITTEN_BYTES = 4 << 20

/**
 * The stated limit: what one case may hold. It is what the two limits above allow together (inflated entries and
 * values), twice, for inputs of at most 256 KiB.
 */
export const MAX_CASE_BYTES = 256 << 20

/**
 * Recognises, reads and validates `input`, streams every value, reads every listing, inspects and prints it, and writes it
 * with other values.
 *
 * Memory is the larger of two upper bounds: bytes asked for in arrays of 64 KiB or more, freed or not; and growth of
 * heap and buffers from before the case to after it.
 */
export async function runCase(input: FuzzCase): Promise<Outcome> {
  restartAllocations(MAX_CASE_BYTES)
  const before = heldBytes()
  const start = performance.now()
  let verdict: Verdict = 'read'
  let signature = 'read'
  let detail: string | undefined
  try {
    signature = `read ${await readEverything(input)}`
  } catch (error) {
    verdict = error instanceof FormatError || error instanceof ToolError ? 'refused' : 'crash'
    signature = signatureOf(error)
    if (verdict === 'crash') detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  const milliseconds = performance.now() - start
  const { bytes, largest, exceeded } = allocated()
  const peakBytes = Math.max(bytes, heldBytes() - before)
  if (exceeded || peakBytes > MAX_CASE_BYTES) {
    return {
      verdict: 'memory',
      signature,
      milliseconds,
      peakBytes,
      detail: `asked for ${bytes} bytes; at once ${largest}. ${detail ?? signature}`,
    }
  }
  return { verdict, signature, milliseconds, peakBytes, ...(detail === undefined ? {} : { detail }) }
}

async function readEverything(input: FuzzCase): Promise<string> {
  const model = await readModel(memoryInput(input.files, input.main), FUZZ_LIMITS)
  let left = MAX_STREAMED_BYTES
  for (const tensor of model.tensors) {
    let bytes = 0
    let whole = true
    for await (const chunk of tensor.stream()) {
      bytes += chunk.length
      left -= chunk.length
      whole = left > 0
      if (!whole) break
    }
    if (whole && bytes !== tensor.bytes)
      throw new Error(`tensor streams ${bytes} of ${tensor.bytes} bytes: "${tensor.name}"`)
    if (!whole) break
  }
  for (const listing of model.listings ?? []) await listing.read()
  const report = await inspect(memoryInput(input.files, input.main), { limits: FUZZ_LIMITS, health: left > 0 })
  JSON.stringify(report)
  renderInspection(report, PLAIN)
  const written = await writeEverything(model, memoryInput(input.files, input.main), Math.min(left, MAX_WRITTEN_BYTES))
  return [model.format, model.variant ?? '', written, ...new Set(model.warnings.map(({ code }) => code))].join(' ')
}

/** Heap and buffers of this thread. */
function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Code, what was being read and what was expected, without numbers and names: the place in the reader. */
function signatureOf(error: unknown): string {
  if (error instanceof OverMemory) return 'memory'
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof ToolError ? error.code : error instanceof Error ? error.name : 'thrown'
  if (code === 'NOT_RECOGNISED') return code
  const text = message
    .replace(/^[^:]*: /, '')
    .replace(/(, |: )found .*$/s, '')
    .replaceAll(/"[^"]*"?/g, '""')
    .replaceAll(/-?\d[\d.,]*/g, '#')
    .replaceAll(/[^ -~]/g, '?')
    .slice(0, 80)
  return `${code} ${text}`
}
