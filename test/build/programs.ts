import { join } from 'node:path'
import { type OpenInput, openInput } from '../../src/host/open-input.ts'
import type { OnnxProgram } from '../../src/onnx/program.ts'
import { readProgram } from '../../src/onnx/read-program.ts'
import { readModel } from '../../src/tasks/open-model.ts'
import type { ArrayValue } from '../../src/tensor/array-value.ts'

const root = join(import.meta.dirname, '../..')
const opened: OpenInput[] = []

/** The program of a model file; `path` starts at the repository. */
export async function openProgram(path: string): Promise<OnnxProgram> {
  const input = await openInput(join(root, path))
  opened.push(input)
  return readProgram(await readModel(input))
}

/** For `afterAll`: closes what `openProgram` opened. */
export const closePrograms = (): Promise<unknown> => Promise.all(opened.splice(0).map((input) => input.close()))

/** Equal bit by bit; far quicker than comparing elements as objects. */
export const sameBits = (one: ArrayValue | undefined, other: ArrayValue | undefined): boolean =>
  one !== undefined &&
  other !== undefined &&
  one.dtype === other.dtype &&
  String(one.shape) === String(other.shape) &&
  Buffer.compare(one.bytes, other.bytes) === 0
