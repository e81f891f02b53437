import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { openInput } from '../src/host/open-input.ts'
import { compare } from '../src/tasks/compare.ts'

/** The twelve labelled ONNX pairs beside the project: verdict, first differing tensor, cause. */
const folder = join(import.meta.dirname, '../../shared/data/compare')

interface Pair {
  id: string
  reference: string
  candidate: string
  inputs: { file: string; candidateFile?: string }[]
}

interface Truth {
  faulty: boolean
  causesAccepted?: string[]
  accept?: { referenceTensors: string[] }
}

const json = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T

if (!existsSync(folder)) test.skip('../shared/data/compare is not there: labelled pairs not compared', () => undefined)
else {
  for (const pair of json<{ pairs: Pair[] }>(join(folder, 'index.json')).pairs) {
    const truth = json<Truth>(join(folder, dirname(pair.candidate), 'truth.json'))
    const open = (path: string) => openInput(join(folder, path))

    test(`${pair.id}: ${truth.faulty ? truth.causesAccepted![0] : 'benign'}`, async () => {
      const reference = await open(pair.reference)
      const candidate = await open(pair.candidate)
      const inputs = await Promise.all(pair.inputs.map(({ file }) => open(file)))
      // The candidate's own layout (candidateFile) must be found without help.
      const report = await compare(reference, candidate, { inputs })
      await Promise.all([reference, candidate, ...inputs].map((input) => input.close()))
      expect(report.verdict).toBe(truth.faulty ? 'mismatch' : 'match')
      if (!truth.faulty) return expect(report.firstDivergence).toBeNull()
      expect(truth.accept!.referenceTensors).toContain(report.firstDivergence?.referenceTensor)
      expect(report.causes.slice(0, 3).map(({ label }) => label)).toEqual(
        expect.arrayContaining([expect.toSatisfy((label: string) => truth.causesAccepted!.includes(label))]),
      )
      expect(report.coverage.compared + report.coverage.skipped).toBe(report.coverage.referenceTensors)
    })
  }
}
