import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeImage } from '../src/host/decode-image.ts'
import { openInput } from '../src/host/open-input.ts'
import { createSha256 } from '../src/host/sha256.ts'
import type { Comparison } from '../src/report/comparison.ts'
import { compare } from '../src/tasks/compare.ts'

/** The project's own example: every format of the correct port is a match, every planted mistake is found at its layer. */
const digits = join(import.meta.dirname, '../examples/digits')

interface Manifest {
  files: { path: string; sha256: string }[]
  mistakes: Record<string, { cause: string; referenceLayer: string; layerTensors: string[] }>
}
const manifest = JSON.parse(readFileSync(join(digits, 'manifest.json'), 'utf8')) as Manifest

async function compareFiles(reference: string, candidate: string, inputs: string[] = []): Promise<Comparison> {
  const opened = await Promise.all([reference, candidate, ...inputs].map((path) => openInput(join(digits, path))))
  try {
    return await compare(opened[0]!, opened[1]!, { inputs: opened.slice(2), decodeImage })
  } finally {
    await Promise.all(opened.map((input) => input.close()))
  }
}

const REFERENCES = [
  'digits.pt',
  'digits-checkpoint.pt',
  'digits-module.pt',
  'digits-torchscript.pt',
  'digits.onnx',
  'digits-folded.onnx',
  'digits.npz',
  'digits.safetensors',
]
const CANDIDATES = readdirSync(join(digits, 'candidate'))

test('the files are those of the manifest', () => {
  for (const { path, sha256 } of manifest.files) {
    const hasher = createSha256()
    hasher.update(readFileSync(join(digits, path)))
    expect(hasher.hex(), path).toBe(sha256)
  }
})

describe.each(REFERENCES)('reference %s', (reference) => {
  test.each(CANDIDATES)('the correct port %s matches', async (candidate) => {
    const report = await compareFiles(`reference/${reference}`, `candidate/${candidate}`)
    expect(report.summary).toBeTruthy()
    expect({ verdict: report.verdict, causes: report.causes.filter(({ confidence }) => confidence > 0.5) }).toEqual({
      verdict: 'match',
      causes: [],
    })
    expect(report.parameters.length).toBeGreaterThanOrEqual(8)
  })
})

// References that state their attributes: the graph, the pickled module with its options, the code of TorchScript.
const STATING = ['digits.onnx', 'digits-module.pt', 'digits-torchscript.pt']

describe.each(Object.entries(manifest.mistakes))('mistake %s', (mistake, { cause, referenceLayer, layerTensors }) => {
  const files = readdirSync(join(digits, 'mistakes', mistake))
  const cases = STATING.flatMap((reference) => files.map((file) => [reference, file] as const))
  test.each(cases)('%s finds it in %s', async (reference, file) => {
    const report = await compareFiles(`reference/${reference}`, `mistakes/${mistake}/${file}`)
    expect(report.verdict).toBe('mismatch')
    expect(report.causes[0]?.label).toBe(cause)
    const { firstDivergence } = report
    const places = [firstDivergence?.referenceTensor, firstDivergence?.referenceNode].filter(
      (place) => typeof place === 'string',
    )
    const layer = (place: string) => layerTensors.includes(place) || place.replaceAll('/', '.').includes(referenceLayer)
    expect(places.some(layer), places.join(', ')).toBe(true)
  })
})

test.each(['inputs/nchw', 'inputs/nchw/batch-a', 'inputs/pictures'])('inputs from %s are used', async (inputs) => {
  const report = await compareFiles('reference/digits.onnx', 'candidate/digits.onnx', [inputs])
  expect(report.verdict).toBe('match')
  expect(report.behaviour.inputs[0]?.candidateLayout).toBe('channels first -> channels last')
  expect(report.behaviour.inputs[0]?.origin).not.toMatch(/generated/)
})
