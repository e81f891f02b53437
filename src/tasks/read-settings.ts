import { FormatError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { MAX_SETTINGS_BYTES, parseSettings, type Settings } from '../settings/parse-settings.ts'

/**
 * Reads and checks modelwright.yaml.
 * @throws {ToolError} BAD_SETTINGS with line and column
 * @throws {FormatError} LIMIT_EXCEEDED when it is larger than any such file is
 */
export async function readSettings({ path, main }: ModelInput): Promise<Settings> {
  if (main.size > MAX_SETTINGS_BYTES)
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: path,
      what: 'size of the settings',
      byteOffset: 0,
      expected: `at most ${MAX_SETTINGS_BYTES} bytes`,
      found: String(main.size),
    })
  return parseSettings(new TextDecoder().decode(await main.read(0, main.size)), path)
}
