import { type Expression, invalid } from './expression.ts'

/** Deeper nesting than this is no transform that anybody wrote. */
const MAX_DEPTH = 64
const MAX_LENGTH = 20_000

const FUNCTIONS: readonly string[] = ['reshape', 'transpose', 'flip', 'blocks', 'slice', 'concat', 'full', 'sqrt']

/**
 * Reads a transform as `printExpression` writes it.
 *
 *     sum     = product { ("+" | "-") product }
 *     product = value { ("*" | "/") value }
 *     value   = number | "$" digits | name "(" arguments ")" | "(" sum ")"
 *
 * @throws {ToolError} INVALID_TRANSFORM with the column and what was expected there
 */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_LENGTH) throw invalid(`transform of ${text.length} characters: at most ${MAX_LENGTH} are read`)
  let at = 0
  let depth = 0

  const fail = (expected: string) => {
    const found = at < text.length ? `"${text.slice(at, at + 12)}"` : 'the end'
    return invalid(`column ${at + 1}: expected ${expected}, found ${found}`)
  }
  const skip = () => {
    while (text[at] === ' ' || text[at] === '\t' || text[at] === '\n') at++
  }
  const take = (pattern: RegExp): string | undefined => {
    skip()
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const need = (token: string) => {
    skip()
    if (!text.startsWith(token, at)) throw fail(`"${token}"`)
    at += token.length
  }
  const number = (): number => {
    const found = take(/-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/iy)
    if (found === undefined) throw fail('a number')
    return Number(found)
  }
  const numbers = (): number[] => {
    need('[')
    const list: number[] = []
    while (take(/\]/y) === undefined) {
      if (list.length > 0) need(',')
      list.push(number())
    }
    return list
  }

  const sum = (): Expression => {
    if (++depth > MAX_DEPTH) throw invalid(`nested deeper than ${MAX_DEPTH} levels`)
    let left = product()
    for (let op = take(/[+-]/y); op !== undefined; op = take(/[+-]/y))
      left = { op: op as '+' | '-', left, right: product() }
    depth--
    return left
  }
  const product = (): Expression => {
    let left = value()
    for (let op = take(/[*/]/y); op !== undefined; op = take(/[*/]/y))
      left = { op: op as '*' | '/', left, right: value() }
    return left
  }
  const value = (): Expression => {
    const input = take(/\$\d{1,6}/y)
    if (input !== undefined) return { op: 'input', index: Number(input.slice(1)) }
    if (take(/\(/y) !== undefined) {
      const inner = sum()
      need(')')
      return inner
    }
    const name = take(/[a-z]+/y)
    if (name !== undefined) return call(name)
    skip()
    if (/[-\d]/.test(text[at] ?? '')) return { op: 'number', value: number() }
    throw fail('$0, a number, a function or "("')
  }
  const call = (name: string): Expression => {
    if (!FUNCTIONS.includes(name)) {
      at -= name.length
      throw fail(`one of ${FUNCTIONS.join(', ')}`)
    }
    need('(')
    const found = argumentsOf(name)
    need(')')
    return found
  }
  const next = <T>(read: () => T): T => {
    need(',')
    return read()
  }
  const argumentsOf = (name: string): Expression => {
    switch (name) {
      case 'reshape':
        return { op: 'reshape', of: sum(), shape: next(numbers) }
      case 'transpose':
        return { op: 'transpose', of: sum(), order: next(numbers) }
      case 'flip':
        return { op: 'flip', of: sum(), axes: next(numbers) }
      case 'blocks':
        return { op: 'blocks', of: sum(), axis: next(number), order: next(numbers) }
      case 'slice':
        return { op: 'slice', of: sum(), axis: next(number), start: next(number), stop: next(number) }
      case 'full':
        return { op: 'full', value: number(), shape: next(numbers) }
      case 'sqrt':
        return { op: 'sqrt', of: sum() }
      default: {
        const axis = number()
        const parts: Expression[] = []
        while (take(/,/y) !== undefined) parts.push(sum())
        return { op: 'concat', axis, parts }
      }
    }
  }

  const expression = sum()
  skip()
  if (at < text.length) throw fail('an operator or the end')
  return expression
}
