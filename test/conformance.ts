import { expect, test } from 'vitest'
import { DEFAULT_LIMITS, type Limits } from '../src/bytes/limits.ts'
import { seededRandom } from '../src/compare/random.ts'
import { FormatError } from '../src/errors.ts'
import type { Format } from '../src/formats/format.ts'
import { identify, probeInput } from '../src/formats/identify.ts'
import { FORMATS } from '../src/formats/registry.ts'
import type { Model } from '../src/model/model.ts'
import { validateModel } from '../src/model/validate.ts'
import { readTensor } from '../src/tensor/tensor.ts'
import { memoryInput } from './memory-input.ts'

/** A small file (with its partners) that a reader must read. */
export interface Sample {
  files: Readonly<Record<string, Uint8Array>>
  /** undefined: the folder is opened */
  main?: string
  /** which of `files` is cut and damaged; default `main` */
  victim?: string
}

/** Limits under which damaged input must stay: small, so that a test shows that they hold. */
export const TIGHT_LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  maxHeaderBytes: 16 << 20,
  maxStringBytes: 4 << 20,
  maxItems: 100_000,
  maxInflatedBytes: 64 << 20,
}

/** Reads a sample with `format`: structure, then every value. */
export async function readAll(
  format: Format,
  sample: Sample,
  limits = TIGHT_LIMITS,
): Promise<{ model: Model; bytes: number }> {
  const model = validateModel(await format.read(memoryInput(sample.files, sample.main), limits), limits)
  let bytes = 0
  for (const tensor of model.tensors) bytes += (await readTensor(tensor, 64 << 20)).length
  return { model, bytes }
}

/**
 * What every reader promises, as tests: it knows its own files and no other's; a file cut at any byte or damaged by
 * flipped bits is read or ends in a FormatError, never in another error.
 */
export function describeConformance(
  format: Format,
  samples: Readonly<Record<string, Sample>>,
  options: { mayReadCut?: string; flips?: number; cuts?: number } = {},
): void {
  for (const [name, sample] of Object.entries(samples)) {
    const victim = sample.victim ?? sample.main ?? Object.keys(sample.files)[0]!
    const original = sample.files[victim]!
    const damaged = (bytes: Uint8Array): Sample => ({ ...sample, files: { ...sample.files, [victim]: bytes } })

    test(`${name}: only ${format.id} recognises it`, async () => {
      const probe = await probeInput(memoryInput(sample.files, sample.main), DEFAULT_LIMITS)
      expect(format.match(probe)).not.toBe('no')
      const sure = FORMATS.filter((other) => other.match(probe) === 'yes').map(({ id }) => id)
      if (format.match(probe) === 'yes') expect(sure).toEqual([format.id])
      expect((await identify(memoryInput(sample.files, sample.main), DEFAULT_LIMITS)).id).toBe(format.id)
    })

    test(`${name}: reads the same twice, all values included`, async () => {
      const first = await readAll(format, sample)
      const second = await readAll(format, sample)
      expect(second.bytes).toBe(first.bytes)
      expect(second.model.tensors.map((tensor) => tensor.name)).toEqual(
        first.model.tensors.map((tensor) => tensor.name),
      )
    })

    test(`${name}: cut at every byte it ends in a FormatError`, async () => {
      const step = Math.max(1, Math.floor(original.length / (options.cuts ?? 3000)))
      let read = 0
      for (let length = 0; length < original.length; length += step) {
        if (await outcome(format, damaged(original.subarray(0, length)))) read++
      }
      if (options.mayReadCut === undefined) expect(read).toBe(0)
    })

    test(`${name}: flipped bits give a result or a FormatError`, async () => {
      const random = seededRandom(original.length)
      for (let round = 0; round < (options.flips ?? 400); round++) {
        const bytes = original.slice()
        for (let flip = 0; flip <= round % 4; flip++)
          bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8)
        await outcome(format, damaged(bytes))
      }
    })
  }
}

/** true: read; false: a FormatError. Anything else is the reader's bug and is thrown on. */
export async function outcome(format: Format, sample: Sample): Promise<boolean> {
  try {
    await readAll(format, sample)
    return true
  } catch (error) {
    if (error instanceof FormatError) return false
    throw error
  }
}
