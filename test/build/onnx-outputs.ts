/**
 * Small edits of an ONNX file that need no re-encoding, so that a model of any size costs one copy.
 *
 * Protocol buffers merge a message field that occurs twice and concatenate its repeated fields: appending a second
 * `graph` field that holds only outputs adds these outputs to the graph.
 * @source https://protobuf.dev/programming-guides/encoding/#last-one-wins, onnx.proto (ModelProto.graph = 7,
 *   GraphProto.output = 12, ValueInfoProto.name = 1)
 */
export function withOutputs(model: Uint8Array, names: readonly string[]): Uint8Array {
  const outputs = names.flatMap((name) => field(12, field(1, [...new TextEncoder().encode(name)])))
  if (outputs.length === 0) return model
  const addition = field(7, outputs)
  const bytes = new Uint8Array(model.length + addition.length)
  bytes.set(model)
  bytes.set(addition, model.length)
  return bytes
}

function field(id: number, payload: readonly number[]): number[] {
  return [...varint(id * 8 + 2), ...varint(payload.length), ...payload]
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}
