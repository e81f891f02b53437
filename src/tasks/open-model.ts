import { DEFAULT_LIMITS, type Limits } from '../bytes/limits.ts'
import type { ModelInput } from '../formats/format.ts'
import { identify } from '../formats/identify.ts'
import type { Model } from '../model/model.ts'
import { validateModel } from '../model/validate.ts'

/**
 * Recognises the format of `input`, reads its structure and validates it. Costs the header; no tensor value is read.
 * @throws {FormatError} when the file is not recognised, damaged, hostile or beyond `limits`
 */
export async function readModel(input: ModelInput, limits: Limits = DEFAULT_LIMITS): Promise<Model> {
  const format = await identify(input, limits)
  return validateModel(await format.read(input, limits), limits)
}
