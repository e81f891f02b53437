import type { ArrayValue } from '../tensor/array-value.ts'
import type { WireInput, WireValue } from './protocol.ts'
import { startThread } from './thread.ts'

/** A model loaded in ONNX Runtime, in a thread of its own. */
export interface Session {
  /** `shape` holds numbers, or names of free dimensions */
  readonly inputs: readonly WireInput[]
  readonly outputs: readonly string[]
  /** of ONNX Runtime */
  readonly version: string
  /**
   * One forward pass.
   * @param fetches outputs wanted; every one that was exposed with `withOutputs` counts
   * @throws {ToolError} CANNOT_RUN with the runtime's own reason
   */
  run(feeds: ReadonlyMap<string, ArrayValue>, fetches: readonly string[]): Promise<Map<string, ArrayValue>>
  close(): Promise<void>
}

/**
 * Loads an ONNX model, graph optimisation off: what runs is what the file says, and every value can be observed
 * without changing it.
 *
 * @param model bytes of the model file
 * @param options.externalFolder where external data lies, for models that keep weights beside the file
 * @throws {ToolError} MISSING_PEER without onnxruntime-node; CANNOT_RUN when the runtime refuses the model
 */
export async function openSession(
  model: Uint8Array,
  options: { externalFolder?: string; threads?: number } = {},
): Promise<Session> {
  const { externalFolder, threads = 1 } = options
  const thread = startThread()
  try {
    const { inputs, outputs, version } = await thread.ask(
      { kind: 'open', session: 0, model, threads, ...(externalFolder === undefined ? {} : { externalFolder }) },
      'opened',
    )
    return {
      inputs,
      outputs,
      version,
      async run(feeds, fetches) {
        const ran = await thread.ask({ kind: 'run', session: 0, feeds: toWire(feeds), fetches }, 'ran')
        return fromWire(ran.values)
      },
      close: () => thread.close(),
    }
  } catch (error) {
    await thread.close()
    throw error
  }
}

/** Values for the journey to the thread, each with just its own memory: a view would take the whole buffer along. */
export function toWire(values: ReadonlyMap<string, ArrayValue>): WireValue[] {
  return [...values].map(([name, { dtype, shape, bytes }]) => ({
    name,
    dtype,
    shape,
    bytes: bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice(),
  }))
}

/** Values as they came back, by name. */
export function fromWire(values: readonly WireValue[]): Map<string, ArrayValue> {
  return new Map(values.map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, bytes }]))
}
