import { FormatError } from '../errors.ts'

/** A value that a Python literal can state: no names, no calls, no operators. */
export type PythonLiteral = null | boolean | number | string | PythonSequence | PythonDict

/** A tuple or list. */
export interface PythonSequence {
  readonly kind: 'tuple' | 'list'
  readonly items: readonly PythonLiteral[]
}

export interface PythonDict {
  readonly kind: 'dict'
  readonly entries: ReadonlyMap<string, PythonLiteral>
}

/** Descriptions of records nest a few levels; more is an attack on the parser's stack. */
const MAX_DEPTH = 32

/**
 * Parses a literal as the header of an `.npy` file has it: dicts with text keys, tuples, lists, text, whole numbers
 * (also `3L` of Python 2), True, False, None. Strict: anything else is an error.
 *
 * @param base offset of `text` in the file, for messages
 * @throws {FormatError} INVALID_FIELD with the offset of the character at fault
 */
export function parsePythonLiteral(file: string, text: string, base: number): PythonLiteral {
  const parser = new LiteralParser(file, text, base)
  const value = parser.value(0)
  parser.end()
  return value
}

class LiteralParser {
  readonly #file: string
  readonly #text: string
  readonly #base: number
  #position = 0

  constructor(file: string, text: string, base: number) {
    this.#file = file
    this.#text = text
    this.#base = base
  }

  value(depth: number): PythonLiteral {
    if (depth > MAX_DEPTH) throw this.#error(`at most ${MAX_DEPTH} levels`)
    const next = this.#peek()
    if (next === '{') return this.#dict(depth)
    if (next === '(') return this.#sequence('tuple', ')', depth)
    if (next === '[') return this.#sequence('list', ']', depth)
    if (next === "'" || next === '"') return this.#string(next)
    return this.#word()
  }

  end(): void {
    if (this.#peek() !== undefined) throw this.#error('the end of the header')
  }

  #dict(depth: number): PythonDict {
    const entries = new Map<string, PythonLiteral>()
    this.#position++
    while (this.#peek() !== '}') {
      const quote = this.#peek()
      if (quote !== "'" && quote !== '"') throw this.#error('a key in quotes')
      const key = this.#string(quote)
      if (this.#peek() !== ':') throw this.#error('":"')
      this.#position++
      entries.set(key, this.value(depth + 1))
      if (!this.#comma('}')) break
    }
    this.#position++
    return { kind: 'dict', entries }
  }

  #sequence(kind: 'tuple' | 'list', close: string, depth: number): PythonLiteral {
    const items: PythonLiteral[] = []
    this.#position++
    let comma = false
    while (this.#peek() !== close) {
      items.push(this.value(depth + 1))
      comma = this.#comma(close)
      if (!comma) break
    }
    this.#position++
    // `(3)` is a number in brackets, `(3,)` a tuple
    return kind === 'tuple' && items.length === 1 && !comma ? items[0]! : { kind, items }
  }

  /** Whether a comma follows; without one the closing bracket must. */
  #comma(close: string): boolean {
    const next = this.#peek()
    if (next === ',') {
      this.#position++
      return true
    }
    if (next !== close) throw this.#error(`"," or "${close}"`)
    return false
  }

  #string(quote: string): string {
    let text = ''
    for (let index = this.#position + 1; index < this.#text.length; index++) {
      const character = this.#text[index]!
      if (character === quote) {
        this.#position = index + 1
        return text
      }
      if (character === '\\') {
        const literal = this.#text[++index]
        if (literal !== '\\' && literal !== "'" && literal !== '"') throw this.#error('no escapes but \\\\ and quotes')
        text += literal
      } else text += character
    }
    throw this.#error(`a closing ${quote}`)
  }

  #word(): PythonLiteral {
    const match = /[A-Za-z0-9_+-]+/y
    match.lastIndex = this.#position
    const word = match.exec(this.#text)?.[0]
    if (word === undefined) throw this.#error('a value')
    let value: PythonLiteral
    if (word === 'True' || word === 'False') value = word === 'True'
    else if (word === 'None') value = null
    else if (/^-?\d{1,16}L?$/.test(word)) value = Number(word.replace('L', ''))
    else throw this.#error('a whole number, text, True, False or None')
    this.#position += word.length
    return value
  }

  #peek(): string | undefined {
    while (/\s/.test(this.#text[this.#position] ?? '')) this.#position++
    return this.#text[this.#position]
  }

  #error(expected: string): FormatError {
    const found = this.#text.slice(this.#position, this.#position + 20)
    return new FormatError({
      code: 'INVALID_FIELD',
      file: this.#file,
      what: 'Python literal in the header',
      byteOffset: this.#base + this.#position,
      expected,
      found: found === '' ? 'the end of the header' : JSON.stringify(found),
    })
  }
}
