import { join } from 'node:path'
import { type Comparison, compare, openInput } from '../../../src/index.ts'
import type { Answer, NamedCause, NamedPlace, Pair } from './pair.ts'

/**
 * Compares one pair as a user would: the files and the reference's inputs, nothing about names or layouts.
 * A comparison that throws is an answer too, with the verdict `error`.
 */
export async function answerPair(folder: string, pair: Pair): Promise<Answer> {
  const start = performance.now()
  const opened = await Promise.all(
    [pair.reference, pair.candidate, ...pair.inputs.map(({ file }) => file)].map((path) =>
      openInput(join(folder, path)),
    ),
  )
  const [reference, candidate, ...inputs] = opened
  try {
    return answerOf(await compare(reference!, candidate!, { inputs }), performance.now() - start)
  } catch (error) {
    const summary = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { ...NOTHING, verdict: 'error', summary, milliseconds: performance.now() - start }
  } finally {
    await Promise.all(opened.map((input) => input.close()))
  }
}

/** An answer that says nothing. */
export const NOTHING: Answer = {
  verdict: 'not-compared',
  summary: '',
  first: null,
  regions: [],
  coverage: { total: 0, compared: 0, skipped: 0 },
  listed: 0,
  milliseconds: 0,
}

function answerOf(report: Comparison, milliseconds: number): Answer {
  const { coverage, firstDivergence } = report
  const regions = report.regions.filter(({ state }) => state === 'different').map(place)
  const causes = report.causes.map(named)
  return {
    verdict: report.verdict,
    summary: report.summary,
    first: firstDivergence === null ? null : { ...names(firstDivergence), causes },
    regions,
    coverage: { total: coverage.referenceTensors, compared: coverage.compared, skipped: coverage.skipped },
    listed: listedSkips(report),
    milliseconds,
  }
}

const names = ({ referenceTensor, candidateTensor }: Omit<NamedPlace, 'causes'>) => ({
  referenceTensor,
  candidateTensor,
})
const named = ({ label, proved }: NamedCause): NamedCause => ({ label, proved })
const place = ({ reference, candidate, causes }: Comparison['regions'][number]): NamedPlace => ({
  referenceTensor: reference,
  candidateTensor: candidate,
  causes: causes.map(named),
})

/** Values of the reference that the report names as having no counterpart. */
function listedSkips({ coverage, values, unpaired, pairing }: Comparison): number {
  if (coverage.of === 'parameters') return unpaired.reference.length
  const unseen = values.filter(({ candidate, status }) => candidate === null || status === 'hidden')
  return new Set([
    ...unseen.map(({ reference }) => reference),
    ...(pairing?.unpaired.reference ?? []).map(({ name }) => name),
  ]).size
}
