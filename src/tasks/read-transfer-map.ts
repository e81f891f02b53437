import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { readJson } from '../encoding/json.ts'
import { ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { type TransferMap, transferMapSchema } from '../report/transfer.ts'

/**
 * Reads and checks a mapping file.
 * @throws {ToolError} INVALID_MAP naming the first place that is wrong
 * @throws {FormatError} when it is not JSON, or larger or deeper than any such file is
 */
export async function readTransferMap({ path, main }: ModelInput): Promise<TransferMap> {
  const result = transferMapSchema.safeParse(await readJson(main, DEFAULT_LIMITS))
  if (result.success) return result.data
  const [issue] = result.error.issues
  const place = (issue?.path ?? []).reduce<string>(
    (sum, key) => (typeof key === 'number' ? `${sum}[${key}]` : `${sum}${sum === '' ? '' : '.'}${String(key)}`),
    '',
  )
  throw new ToolError('INVALID_MAP', `${path}: ${place || 'the file'}: ${issue?.message ?? 'not a mapping file'}`)
}
