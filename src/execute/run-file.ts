import type { ArrayValue } from '../tensor/array-value.ts'
import { startThread } from './thread.ts'
import { fromWire, toWire } from './wire.ts'

/**
 * Runs a whole model file once, graph optimisation off, in a thread and a runtime of its own: what any other program
 * would get from the file.
 *
 * @param feedFor gives the value of an input, by its name and place
 * @throws {ToolError} MISSING_PEER; CANNOT_RUN with the runtime's own reason
 */
export async function runFile(
  model: Uint8Array,
  feedFor: (name: string, position: number) => Promise<ArrayValue>,
): Promise<ReadonlyMap<string, ArrayValue>> {
  const thread = startThread()
  try {
    const { inputs, outputs } = await thread.ask({ kind: 'open', session: 0, model, threads: 1 }, 'opened')
    const feeds = new Map<string, ArrayValue>()
    for (const [position, { name }] of inputs.entries()) feeds.set(name, await feedFor(name, position))
    const { values } = await thread.ask({ kind: 'run', session: 0, feeds: toWire(feeds), fetches: outputs }, 'ran')
    return fromWire(values)
  } finally {
    await thread.close()
  }
}
