/**
 * A copy of plain data whose texts cannot steer a terminal: control characters and the characters that turn the
 * direction of writing are spelled out, so that a tensor called `\\x1b[2J` clears no screen and none hides its end.
 */
export function printable<Data>(data: Data): Data {
  if (typeof data === 'string') return data.replaceAll(STEERING, spellOut) as Data
  if (Array.isArray(data)) return data.map(printable) as Data
  if (data === null || typeof data !== 'object') return data
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [printable(key), printable(value)])) as Data
}

/** C0, DEL, C1, line and paragraph separators, marks and overrides of direction (Unicode Cc, Zl, Zp, Bidi_Control) */
const STEERING = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function spellOut(character: string): string {
  const code = character.charCodeAt(0)
  return SHORT[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`)
}

const hex = (code: number, digits: number) => code.toString(16).padStart(digits, '0')
