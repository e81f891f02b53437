import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'
import {
  booleanOf,
  findMessage,
  findText,
  integerOf,
  numberOf,
  parseTextProto,
  type TextMessage,
  type TextValue,
  textMessages,
  textOf,
} from './text-proto.ts'

const parse = (text: string) => parseTextProto('net.prototxt', text, DEFAULT_LIMITS)

const plain = (message: TextMessage): unknown[] => message.fields.map(({ name, value }) => [name, plainValue(value)])
const plainValue = (value: TextValue): unknown => (value.kind === 'message' ? plain(value.message) : textOf(value))

const check = (text: string, expected: unknown[]) =>
  test(JSON.stringify(text), () => expect(plain(parse(text))).toEqual(expected))

describe('fields', () => {
  check('', [])
  check('# only a comment', [])
  check('\ufeffname: "net"', [['name', 'net']])
  check('name: "net" # comment\nlayer { name: "a" }', [
    ['name', 'net'],
    ['layer', [['name', 'a']]],
  ])
  check('a: { b: 1 } c < d: 2; >, e: {}', [
    ['a', [['b', '1']]],
    ['c', [['d', '2']]],
    ['e', []],
  ])
  check('dim: [1, 3,\n 224] none: []', [
    ['dim', '1'],
    ['dim', '3'],
    ['dim', '224'],
  ])
  check('m: [{a: 1}, <a: 2>] [type.googleapis.com/ a.B] { x: y } [ext.name]: 3', [
    ['m', [['a', '1']]],
    ['m', [['a', '2']]],
    ['[type.googleapis.com/a.B]', [['x', 'y']]],
    ['[ext.name]', '3'],
  ])
  check(`s: "a" 'b"' "\\n\\x41\\101\\u00e9\\"" t:"é"`, [
    ['s', 'ab"\nAAé"'],
    ['t', 'é'],
  ])
  check('pool: MAX e: -1.5e-3f n: - 2 i: -inf', [
    ['pool', 'MAX'],
    ['e', '-1.5e-3f'],
    ['n', '-2'],
    ['i', '-inf'],
  ])
})

test('bytes of any value survive', () => {
  const value = findText(parse('tensor_content: "\\000\\000\\200?\\377"'), 'tensor_content')
  expect(value).toEqual({ kind: 'string', bytes: Uint8Array.from([0, 0, 0x80, 0x3f, 0xff]) })
})

describe('getters', () => {
  const message = parse(
    'hex: 0x1F oct: 017 big: 9223372036854775807 f: 2.5f yes: true no: 0 inf: inf m { a: 1 } m { a: 2 } end: 1.',
  )
  const at = (name: string) => findText(message, name)
  test('numbers', () => {
    expect(['hex', 'oct', 'f', 'inf', 'end', 'm', 'absent'].map((name) => numberOf(at(name)))).toEqual([
      31,
      15,
      2.5,
      Number.POSITIVE_INFINITY,
      1,
      undefined,
      undefined,
    ])
    expect(integerOf(at('big'))).toBe(9223372036854775807n)
    expect(integerOf(at('f'))).toBeUndefined()
  })
  test('truth', () => expect(['yes', 'no', 'hex'].map((name) => booleanOf(at(name)))).toEqual([true, false, undefined]))
  test('messages', () => {
    expect(textMessages(message, 'm')).toHaveLength(2)
    expect(findMessage(message, 'm')?.fields[0]?.value).toEqual({ kind: 'number', text: '2' })
    expect(findMessage(message, 'hex')).toBeUndefined()
  })
})

describe('errors', () => {
  const fails = (text: string, message: string) =>
    test(JSON.stringify(text), () => {
      expect(() => parse(text)).toThrow(FormatError)
      expect(() => parse(text)).toThrow(message)
    })
  fails('a: 1\nb 2', 'field "b" on line 2 at byte 7: expected ":", "{" or "<", found "2"')
  fails('layer {\n name: "a"\n', 'message "layer" that begins at byte 6 at byte 19: expected more text')
  fails('a: "x\n"', 'text "a" on line 1 at byte 5: expected a closing quote')
  fails('a: "x', 'expected more text, found the end of the file')
  fails('a: 1e5x', 'expected a number, found "1e5x"')
  fails('a: -b', 'expected a number after "-"')
  fails('a: "\\q"', 'escape in text "a"')
  fails('a: [1 2]', 'list "a" on line 1')
  fails('}', 'expected a field name, found "}"')
  fails('a: ', 'value of "a"')
  fails('\u0000', 'found byte 0x0')
  fails('a: "\\', 'text "a"')
})

test('depth and number of fields are bounded', () => {
  expect(() => parse('a{'.repeat(5000))).toThrow('at most 100 levels')
  const few = { ...DEFAULT_LIMITS, maxItems: 10, maxStringBytes: 4 }
  expect(() => parseTextProto('x', 'a: 1 '.repeat(11), few)).toThrow('at most 10')
  expect(() => parseTextProto('x', 'a: "abc" "de"', few)).toThrow('at most 4 bytes')
})
