import { expect } from 'vitest'
import { DEFAULT_LIMITS, type Limits } from '../../src/bytes/limits.ts'
import { FormatError, ToolError } from '../../src/errors.ts'
import type { ModelInput } from '../../src/formats/format.ts'
import { openInput } from '../../src/host/open-input.ts'
import type { Model } from '../../src/model/model.ts'
import { readModel } from '../../src/tasks/open-model.ts'
import { memoryInput } from '../memory-input.ts'

/** Reads `input` with all its values (no tensor beyond 64 MiB) and gives the Model. */
export async function readThrough(input: ModelInput, limits: Limits = DEFAULT_LIMITS): Promise<Model> {
  const model = await readModel(input, limits)
  for (const tensor of model.tensors) {
    let bytes = 0
    for await (const chunk of tensor.stream()) {
      bytes += chunk.length
      if (bytes > 64 << 20) break
    }
  }
  return model
}

/** `CODE message` of the error that reading ends in; `read` when there is none. Errors of other kinds are thrown on. */
export async function ending(read: () => Promise<unknown>): Promise<string> {
  try {
    await read()
    return 'read'
  } catch (error) {
    if (error instanceof FormatError || error instanceof ToolError) return `${error.code} ${error.message}`
    throw error
  }
}

/** What reading files in memory ends in. */
export function endingOf(
  files: Readonly<Record<string, Uint8Array>>,
  main: string | undefined = Object.keys(files)[0],
  limits?: Limits,
): Promise<string> {
  return ending(() => readThrough(memoryInput(files, main), limits))
}

/** What reading a path on disk ends in. */
export function endingOfPath(path: string): Promise<string> {
  return ending(async () => {
    const input = await openInput(path)
    try {
      await readThrough(input)
    } finally {
      await input.close()
    }
  })
}

/** Runs `work` and fails when it takes longer than hostile input may. */
export async function withinSeconds<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  const result = await work()
  expect((performance.now() - start) / 1000, 'seconds').toBeLessThan(seconds)
  return result
}
