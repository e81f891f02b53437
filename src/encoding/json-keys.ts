import { FormatError } from '../errors.ts'

/**
 * Refuses JSON in which an object has the same key twice. JSON.parse keeps the last of them in silence, so that two
 * readers of one file can see two different contents.
 *
 * @param text valid JSON, as JSON.parse has accepted it
 * @param base offset of the text in the file, for the message
 * @throws {FormatError} INVALID_FIELD with the key and its place
 */
export function refuseDuplicateKeys(file: string, text: Uint8Array, base = 0): void {
  // One set of keys for each open object, undefined for an array.
  const open: (Set<string> | undefined)[] = []
  let expectsKey = false
  for (let position = 0; position < text.length; position++) {
    switch (text[position]) {
      case OPEN_OBJECT:
        open.push(new Set())
        expectsKey = true
        break
      case OPEN_ARRAY:
        open.push(undefined)
        expectsKey = false
        break
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        open.pop()
        expectsKey = false
        break
      case COMMA:
        expectsKey = open.at(-1) !== undefined
        break
      case QUOTE: {
        const end = endOfString(text, position)
        const keys = open.at(-1)
        if (expectsKey && keys) {
          const key = JSON.parse(utf8.decode(text.subarray(position, end))) as string
          if (keys.has(key)) throw duplicate(file, key, base + position)
          keys.add(key)
          expectsKey = false
        }
        position = end - 1
        break
      }
    }
  }
}

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Position behind the closing quote of the string that begins at `start`. */
function endOfString(text: Uint8Array, start: number): number {
  let position = start + 1
  while (position < text.length && text[position] !== QUOTE) position += text[position] === BACKSLASH ? 2 : 1
  return position + 1
}

function duplicate(file: string, key: string, byteOffset: number): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file,
    what: `JSON key "${key.slice(0, 200)}"`,
    byteOffset,
    expected: 'each key once in an object',
    found: 'it a second time',
  })
}
