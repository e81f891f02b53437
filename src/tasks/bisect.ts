import { SAME_RATIO } from '../compare/regions/judge-regions.ts'
import { narrowRegion } from '../compare/repro/narrow-region.ts'
import { openFragmentRunner } from '../execute/run-fragment.ts'
import type { Comparison } from '../report/comparison.ts'
import type { RegionReport } from '../report/regions.ts'
import { type Evidence, knownShapes } from './repro.ts'

/** More faulty regions than this are not bisected; a person repairs one at a time. */
const MAX_BISECTED = 8

/**
 * The report with, for every faulty region of several operators, the smallest part that still differs: found by putting
 * values of the reference into the candidate until nothing smaller fails.
 */
export async function bisectFaults({ report, recording, comparison }: Evidence): Promise<Comparison> {
  if (recording === undefined || comparison === undefined) return report
  const open = report.regions.filter(({ state }) => state === 'different').slice(0, MAX_BISECTED)
  const runner = openFragmentRunner()
  const smallest = new Map<string, NonNullable<RegionReport['smallest']>>()
  try {
    for (const { reference } of open) {
      const fault = comparison.faults.find(({ result }) => result.region.at.reference === reference)
      if (fault === undefined) continue
      const { region, from, spliced } = await narrowRegion(
        {
          region: fault.result.region,
          reference: recording.programs.reference,
          candidate: recording.programs.candidate,
          values: recording.reference.runs,
          run: runner.run,
          tolerance: SAME_RATIO * fault.result.floor,
        },
        knownShapes(recording),
      )
      const nodes = (list: typeof region.candidateNodes) => list.map(({ name, op }) => ({ name, op }))
      smallest.set(reference, {
        reference: region.at.reference,
        candidate: region.at.candidate,
        cut: region.cut.map((pair) => ({ reference: pair.reference, candidate: pair.candidate })),
        referenceNodes: nodes(region.referenceNodes),
        candidateNodes: nodes(region.candidateNodes),
        from,
        spliced,
      })
    }
  } finally {
    await runner.close()
  }
  const regions = report.regions.map((region) => {
    const found = region.state === 'different' ? smallest.get(region.reference) : undefined
    return found ? { ...region, smallest: found } : region
  })
  return { ...report, regions }
}
