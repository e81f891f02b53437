import type { JsonValue } from '../../encoding/json-value.ts'
import { findKerasCode } from '../../model/keras-code.ts'
import type { CodeReference, Problem } from '../../model/model.ts'

/** The configuration's text in its file. */
export interface ConfigText {
  readonly file: string
  readonly bytes: Uint8Array
  /** absolute offset of `bytes` in `file` */
  readonly base: number
}

/** What a configuration would have Keras run or look up, as references and warnings. Nothing of it is executed. */
export function referencesOf(
  config: JsonValue,
  { file, bytes, base }: ConfigText,
): { references: readonly CodeReference[]; warnings: readonly Problem[] } {
  const references: CodeReference[] = []
  const warnings: Problem[] = []
  const found = findKerasCode(config)
  // One character per byte, so that positions are offsets.
  const text = found.length === 0 ? '' : new TextDecoder('latin1').decode(bytes)
  for (const { name, kind, count, needle } of found) {
    const at = text.indexOf(JSON.stringify(needle))
    references.push({ name, kind, count, file, byteOffset: base + Math.max(0, at) })
    if (kind === 'dangerous') {
      const message = `${name} carries Python bytecode, which loading the model in Keras would run; it was not executed`
      warnings.push({ code: 'UNSAFE_CODE', message, subject: name })
    } else {
      const message = `${name} is not part of Keras: the model needs the code that defines it`
      warnings.push({ code: 'CUSTOM_OBJECT', message, subject: name })
    }
  }
  return { references, warnings }
}
