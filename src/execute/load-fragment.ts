import type { Fragment, OnnxProgram } from '../onnx/program.ts'
import { fragmentBytes } from '../onnx/write-fragment.ts'
import type { Thread } from './thread.ts'

/** Memory that models were handed over in comes back and is used again: freed, it would lie about until collected. */
const memory = new WeakMap<Thread, ArrayBuffer>()

/** More than this is not held on to. */
const MAX_HELD_BYTES = 64 * 2 ** 20

export interface LoadedFragment {
  /** of the model, weights included */
  readonly bytes: number
  /** of ONNX Runtime */
  readonly version: string
}

/**
 * Loads a fragment in the thread, as its session `session`.
 * @throws {ToolError} CANNOT_RUN, MISSING_PEER
 */
export async function loadFragment(
  thread: Thread,
  session: number,
  program: OnnxProgram,
  fragment: Fragment,
  threads: number,
): Promise<LoadedFragment> {
  const model = await fragmentBytes(program, fragment, memory.get(thread))
  memory.delete(thread)
  const opened = await thread.ask({ kind: 'open', session, model, threads }, 'opened', [model.buffer])
  if (opened.memory.byteLength <= MAX_HELD_BYTES) memory.set(thread, opened.memory)
  return { bytes: model.length, version: opened.version }
}
