import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../src/bytes/limits.ts'
import { FormatError } from '../src/errors.ts'
import { identify } from '../src/formats/identify.ts'
import { readTensorProto } from '../src/formats/onnx/tensor-proto-file.ts'
import { openInput } from '../src/host/open-input.ts'
import { validateModel } from '../src/model/validate.ts'
import type { Tensor } from '../src/tensor/tensor.ts'
import { digestTensor, type ExpectedTensor, flat, textsOf } from './tensor-digest.ts'

/**
 * The files that real frameworks wrote for us, against what those frameworks read in them (README.md there explains the
 * fields). Broken and hostile ones must be refused, by the opening or by the reading of all values.
 */
const folder = process.env.MODELWRIGHT_FIXTURES ?? resolve(import.meta.dirname, 'fixtures/frameworks')

/** As most formats state it, or as TensorFlow.js does: `real = min + scale * stored`. */
type QuantizationFact =
  | { axis?: number; scales: number[]; zeroPoints: number[] }
  | { scale: number; min: number; dtype: string }
  | { dtype: 'float16' }

/** What our Quantization must say; undefined for TensorFlow.js's float16, which is a type and no scale. */
function scalesOf(fact: QuantizationFact): object | undefined {
  if ('scales' in fact) return fact
  if (!('scale' in fact)) return undefined
  return { scales: [fact.scale], zeroPoints: [expect.closeTo(-fact.min / fact.scale, 9)] }
}

interface Row {
  file: string
  format: string
  tensors: (ExpectedTensor & { quantization?: QuantizationFact })[]
  facts: {
    error?: string
    /** tensors that we list as well, beside `tensors` */
    innerTensors?: ExpectedTensor[]
    constantForms?: Record<string, string>
    sparse?: { name: string; parts?: ExpectedTensor[] }[]
    /** numbers among the fields of a structured NumPy type: each field is a tensor of ours */
    fields?: ExpectedTensor[]
    /** in a whole-module pickle, though not in its state dict */
    nonPersistentBuffers?: string[]
    recognisedOnly?: unknown
    mayBeUnsupported?: unknown
  }
}

const rows: Row[] = JSON.parse(readFileSync(resolve(folder, 'oracle.json'), 'utf8')).files

interface Opened {
  tensors: readonly Tensor[]
  /** names under which an Identity node gives a tensor again: PyTorch stores equal initializers once */
  aliases: ReadonlyMap<string, string>
  close(): Promise<void>
}

async function read({ file, format }: Row): Promise<Opened> {
  const input = await openInput(resolve(folder, file))
  try {
    if (format === 'onnx-tensor')
      return { tensors: [await readTensorProto(input.main, DEFAULT_LIMITS)], aliases: new Map(), close: input.close }
    const found = await identify(input, DEFAULT_LIMITS)
    const model = validateModel(await found.read(input, DEFAULT_LIMITS), DEFAULT_LIMITS)
    const identities = model.graphs.flatMap(({ nodes }) => nodes.filter(({ op }) => op === 'Identity'))
    const aliases = new Map(identities.map(({ inputs, outputs }) => [outputs[0] ?? '', inputs[0] ?? '']))
    return { tensors: model.tensors, aliases, close: input.close }
  } catch (error) {
    await input.close()
    throw error
  }
}

/** Tensors of a file that the oracle lists apart: ours must be among them. */
function isListedApart(name: string, facts: Row['facts']): boolean {
  const { innerTensors = [], constantForms = {}, sparse = [], fields = [], nonPersistentBuffers = [] } = facts
  return (
    fields.length > 0 ||
    nonPersistentBuffers.includes(name) ||
    sparse.some(({ parts = [] }) => parts.some((part) => name === part.name || name === `${part.name}_indices`)) ||
    innerTensors.some((inner) => inner.name.endsWith(name)) ||
    Object.keys(constantForms).some((output) => name === `const:${output}`) ||
    (sparse.length > 0 && /\.(values|indices)$/.test(name))
  )
}

/** TensorFlow keeps its graph of objects as a text among the tensors of a checkpoint; we list none of it as one. */
const isArray = ({ name }: ExpectedTensor) => name !== '_CHECKPOINTABLE_OBJECT_GRAPH'

/** Tensors whose values must be among those that we list, under whatever name. */
function listedApart({ innerTensors = [], fields = [], sparse = [] }: Row['facts']): ExpectedTensor[] {
  return [...innerTensors, ...fields, ...sparse.flatMap(({ parts = [] }) => parts)]
}

/** Bytes without a meaning (NumPy's void) are uint8 with one more dimension. */
function ourType({ dtype, shape }: ExpectedTensor): Pick<ExpectedTensor, 'dtype' | 'shape'> {
  const bits = /^void(\d+)$/.exec(dtype)?.[1]
  return bits === undefined ? { dtype, shape } : { dtype: 'uint8', shape: [...shape, Number(bits) / 8] }
}

const isForeign = ({ facts, format }: Row) => facts.recognisedOnly !== undefined || format === 'pickle'
const readable = rows.filter((row) => row.facts.error === undefined && !isForeign(row))

describe('files that frameworks wrote', () => {
  test.each(readable)('$file', async (row) => {
    let model: Opened
    try {
      model = await read(row)
    } catch (error) {
      const isStated = error instanceof FormatError && error.code.startsWith('UNSUPPORTED')
      if (row.facts.mayBeUnsupported && isStated) return
      throw error
    }
    try {
      const expected = new Map(row.tensors.filter(isArray).map((tensor) => [tensor.name, tensor]))
      for (const tensor of model.tensors) {
        const fact = expected.get(tensor.name)
        if (fact === undefined) {
          expect(isListedApart(tensor.name, row.facts), `"${tensor.name}" is not in the oracle`).toBe(true)
          continue
        }
        expected.delete(tensor.name)
        const { sha256, ...found } = await digestTensor(tensor)
        expect(found).toEqual({ name: fact.name, ...ourType(fact) })
        if (fact.sha256 !== undefined) expect(sha256, tensor.name).toBe(fact.sha256)
        if (fact.values !== undefined) expect(await textsOf(tensor)).toEqual(flat(fact.values))
        const scales = fact.quantization && scalesOf(fact.quantization)
        if (scales) expect(tensor.quantization, tensor.name).toMatchObject(scales)
      }
      for (const [name, { dtype, shape, sha256 }] of expected) {
        const original = model.tensors.find((tensor) => tensor.name === model.aliases.get(name))
        expect(original && (await digestTensor(original)), `"${name}", which we do not list`).toMatchObject({
          dtype,
          shape,
          sha256,
        })
      }
      const inner = await Promise.all(
        model.tensors.filter(({ name }) => !row.tensors.some((fact) => fact.name === name)).map(digestTensor),
      )
      // small constants of a SavedModel are attributes of their nodes: saved-model.test.ts compares those
      for (const { dtype, shape, sha256 } of row.format === 'saved-model' ? [] : listedApart(row.facts))
        expect(inner).toContainEqual(expect.objectContaining({ dtype, shape, sha256 }))
    } finally {
      await model.close()
    }
  })
})

describe('files that are broken or hostile', () => {
  test.each(rows.filter(({ facts }) => facts.error !== undefined))('$file: $facts.error', async (row) => {
    await expect(
      (async () => {
        const model = await read(row)
        try {
          for (const tensor of model.tensors) await digestTensor(tensor)
        } finally {
          await model.close()
        }
      })(),
    ).rejects.toBeInstanceOf(FormatError)
  })
})

describe('files that are only recognised', () => {
  test.each(rows.filter(isForeign))('$file', async (row) => {
    await expect(read(row)).rejects.toMatchObject({ code: 'UNSUPPORTED_FORMAT' })
  })
})

test('every file of the oracle is there', () => {
  expect(rows.filter(({ file }) => !existsSync(resolve(folder, file))).map(({ file }) => file)).toEqual([])
})
