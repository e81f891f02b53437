import { type ByteSource, memorySource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import type { MessageType } from '../../encoding/protobuf.ts'
import { encodeText } from '../../encoding/protobuf-encode.ts'
import { parseTextProto } from '../../encoding/text-proto.ts'
import { FormatError } from '../../errors.ts'
import { type ProtoContext, protoContext } from '../../model/tensor-proto.ts'
import { decodeTf } from './meta-graph.ts'

/**
 * The message that fills `source`, in binary or text form. A text is rewritten in binary form in memory, so that
 * whatever follows knows one form only; its constants then have no place in the file.
 *
 * @throws {FormatError} as the decoder and the text parser do; LIMIT_EXCEEDED for a text above `maxHeaderBytes`
 */
export async function readMessage<T>(
  type: MessageType<T>,
  source: ByteSource,
  form: 'binary' | 'text',
  limits: Limits,
): Promise<{ message: T; context: ProtoContext }> {
  if (source.size === 0) {
    const parts = { what: 'content', byteOffset: 0, expected: type.name, found: 'an empty file' }
    throw new FormatError({ code: 'TRUNCATED', file: source.name, ...parts })
  }
  if (form === 'binary')
    return { message: await decodeTf(type, source, limits), context: protoContext(source, source.name, limits) }
  if (source.size > limits.maxHeaderBytes) {
    const sizes = { expected: `at most ${limits.maxHeaderBytes} bytes`, found: String(source.size) }
    throw new FormatError({ code: 'LIMIT_EXCEEDED', file: source.name, what: 'text', ...sizes })
  }
  const text = parseTextProto(source.name, await source.read(0, source.size), limits)
  const bytes = encodeText(type as MessageType<never>, text, source.name)
  const binary = memorySource(source.name, bytes)
  return { message: await decodeTf(type, binary, limits), context: protoContext(binary, undefined, limits) }
}
