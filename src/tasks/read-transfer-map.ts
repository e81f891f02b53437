import { FormatError, ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { type TransferMap, transferMapSchema } from '../report/transfer.ts'

/** A model of 100,000 tensors has a mapping file of about 30 MB. */
const MAX_MAP_BYTES = 200_000_000

/**
 * Reads and checks a mapping file.
 * @throws {ToolError} INVALID_MAP naming the first place that is wrong
 * @throws {FormatError} LIMIT_EXCEEDED when it is larger than any such file is
 */
export async function readTransferMap({ path, main }: ModelInput): Promise<TransferMap> {
  if (main.size > MAX_MAP_BYTES)
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: path,
      what: 'size of the mapping file',
      byteOffset: 0,
      expected: `at most ${MAX_MAP_BYTES} bytes`,
      found: String(main.size),
    })
  const text = new TextDecoder().decode(await main.read(0, main.size))
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new ToolError('INVALID_MAP', `${path}: not JSON: ${placed(text, (cause as Error).message)}`, { cause })
  }
  const result = transferMapSchema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const place = (issue?.path ?? []).reduce<string>(
    (sum, key) => (typeof key === 'number' ? `${sum}[${key}]` : `${sum}${sum === '' ? '' : '.'}${String(key)}`),
    '',
  )
  throw new ToolError('INVALID_MAP', `${path}: ${place || 'the file'}: ${issue?.message ?? 'not a mapping file'}`)
}

/** Node says `at position 17`; people count lines. */
function placed(text: string, message: string): string {
  const position = /position (\d+)/.exec(message)?.[1]
  if (position === undefined || message.includes('line')) return message
  const before = text.slice(0, Number(position)).split('\n')
  return `${message} (line ${before.length}, column ${before.at(-1)!.length + 1})`
}
