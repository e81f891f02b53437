import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { openInput } from '../host/open-input.ts'
import { createSha256 } from '../host/sha256.ts'
import { inspectionSchema, tensorReportSchema } from '../report/inspection.ts'
import { renderInspection } from '../report/render-inspection.ts'
import { renderTensorReport } from '../report/render-tensor.ts'
import { PLAIN } from '../report/text.ts'
import { type InspectOptions, inspect, inspectTensor } from './inspect.ts'

const repo = resolve(import.meta.dirname, '../..')

async function inspectFile(file: string, options: InspectOptions = {}) {
  const input = await openInput(resolve(repo, file))
  try {
    const report = await inspect(input, { createHasher: createSha256, ...options })
    // what leaves is JSON, and of the published schema
    expect(inspectionSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report)
    return report
  } finally {
    await input.close()
  }
}

/**
 * The digits network by hand. Parameters: stem 16*3*9, its norm 2*16, down 24*16*9 + 24, norms 3 * 2*24, depthwise
 * 24*9, pointwise 24*24, dense 32*288 + 32 and 10*32 + 10. Work at 16 x 12: 16*192*27 + 24*48*144 + 24*48*9 +
 * 24*48*24 + 288*32 + 32*10.
 */
const PARAMETERS = 432 + 32 + 3480 + 144 + 216 + 576 + 9248 + 330
const MACS = 82_944 + 165_888 + 10_368 + 27_648 + 9216 + 320

test.each([
  'examples/digits/reference/digits.onnx',
  'examples/digits/candidate/digits.h5',
  'examples/digits/candidate/digits.keras',
  'examples/digits/candidate/saved_model',
])('%s: the same parameters and work in every format', async (file) => {
  const { totals, macs, health, modules } = await inspectFile(file)
  expect(totals.parameters).toBe(PARAMETERS)
  expect(macs).toMatchObject({ total: MACS, unknown: [] })
  expect(modules).toMatchObject({ parameters: PARAMETERS, macs: MACS })
  expect(health!.filter(({ severity }) => severity !== 'note')).toEqual([])
})

test('a checkpoint: training state apart from parameters, no work without a graph', async () => {
  const report = await inspectFile('examples/digits/reference/digits-checkpoint.pt')
  expect(report.totals.parameters).toBe(PARAMETERS)
  expect(report.macs).toBeNull()
  expect(report.training).toMatchObject({ epoch: 24, optimizer: { name: 'AdamW' } })
  const text = renderInspection(report, PLAIN)
  expect(text).toContain('Training state\n  epoch      24\n  optimizer  AdamW (inferred from its state); lr 0')
})

test('digests: of the file, of each file, of each tensor', async () => {
  const report = await inspectFile('examples/digits/reference/digits.safetensors', { digests: true, health: false })
  expect(report.health).toBeNull()
  expect(report.files[0]!.sha256).toBe(report.sha256)
  expect(report.tensors.every(({ sha256 }) => sha256 !== undefined)).toBe(true)
  const folder = await inspectFile('examples/digits/candidate/saved_model', { health: false })
  expect(folder.sha256).toMatch(/^[0-9a-f]{64}$/)
  expect(folder.files.every(({ sha256 }) => sha256 !== undefined)).toBe(true)
})

test('progress ends at the total', async () => {
  const seen: [number, number][] = []
  await inspectFile('examples/digits/reference/digits.onnx', { onProgress: (done, total) => seen.push([done, total]) })
  const [done, total] = seen.at(-1)!
  expect(done).toBe(total)
})

test('a wrong input name is answered with the right ones', async () => {
  await expect(inspectFile('examples/digits/reference/digits.onnx', { inputShapes: { data: [1] } })).rejects.toThrow(
    'the model has no input "data". Its inputs are "image"',
  )
  const bigger = await inspectFile('examples/digits/reference/digits.onnx', { inputShapes: { '': [2, 3, 16, 12] } })
  expect(bigger.macs!.total).toBe(2 * MACS)
})

test('values that cannot be read are findings, and the rest is told', async () => {
  const report = await inspectFile('test/fixtures/frameworks/onnx/external-missing.onnx')
  expect(report.health).toMatchObject([{ tensor: 'w', problem: 'unreadable', severity: 'error' }])
})

test('the terminal shows what it is, sizes, ends, modules, operators and health', async () => {
  const report = await inspectFile('examples/digits/reference/digits.onnx')
  const text = renderInspection({ ...report, path: 'digits.onnx' }, PLAIN, { columns: 100 })
  expect(text.replace(/sha256 [0-9a-f]{64}/, 'sha256 ...').replace(/pytorch [\d.]+/, 'pytorch')).toMatchInlineSnapshot(`
    "digits.onnx  ONNX: framework pytorch, IR 8, opset ai.onnx 17
      main_graph
      sha256 ...

    14.5 k parameters, 25 tensors, 58.5 kB of values in 62 kB, 296 kMACs
      float32 25 (58.5 kB)
      parameter 17 (14.5 k values), buffer 8 (176 values)

    Graph 18 nodes
      in   image   float32  batch x 3 x 16 x 12
      out  logits  float32  batch x 10

    Modules
                   parameters      MACs  output
      stem                432    82.9 k  1 x 16 x 16 x 12  conv
      stem_bn              32            1 x 16 x 16 x 12  batch-norm
      down             3.48 k     166 k  1 x 24 x 8 x 6    conv
      down_bn              48            1 x 24 x 8 x 6    batch-norm
      block               888      38 k  1 x 24 x 8 x 6
        depthwise         216    10.4 k  1 x 24 x 8 x 6    conv
        bn1                48            1 x 24 x 8 x 6    batch-norm
        pointwise         576    27.6 k  1 x 24 x 8 x 6    conv
        bn2                48            1 x 24 x 8 x 6    batch-norm
      fc1              9.25 k    9.22 k  1 x 32            dense
      fc2                 330       320  1 x 10            dense

    Operators
      Relu 5, BatchNormalization 4, Conv 4, Gemm 2, Add 1, Flatten 1, MaxPool 1

    Health
      no NaN, no infinity, no dead or oversized kernel
    "
  `)
})

test('a pickle that refers to a command is said to be dangerous before anything else', async () => {
  const report = await inspectFile('test/fixtures/frameworks/pytorch-1.13/hostile.pt')
  const text = renderInspection(report, PLAIN)
  expect(text.split('\n\n')[1]).toContain('DANGEROUS')
  expect(text).toContain('posix.system')
})

test('one tensor: statistics, histogram and first values', async () => {
  const input = await openInput(resolve(repo, 'examples/digits/reference/digits.onnx'))
  const report = await inspectTensor(input, 'fc2.weight', { createHasher: createSha256, bins: 8 })
  expect(tensorReportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report)
  expect(report.tensor).toMatchObject({ shape: [10, 32], bytes: 1280 })
  expect(report.histogram!.counts.reduce((sum, count) => sum + count, 0)).toBe(320)
  const text = renderTensorReport(report, PLAIN, 80)
  expect(text).toContain('fc2.weight  float32 10 x 32  320 values, 1.28 kB, parameter')
  expect(text.split('\n').filter((line) => line.includes('#')).length).toBeGreaterThan(4)
  await expect(inspectTensor(input, 'fc9')).rejects.toThrow('no tensor is called "fc9": no name contains it. There are')
  await input.close()
})
