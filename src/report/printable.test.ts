import { expect, test } from 'vitest'
import { printable } from './printable.ts'

const check = (text: string, expected: string) =>
  test(`${JSON.stringify(text)} is shown as ${expected}`, () => expect(printable(text)).toBe(expected))

check('conv1.weight', 'conv1.weight')
check('größe ✓ 重み', 'größe ✓ 重み')
check('\x1b[31mred\x1b[0m\x07', '\\x1b[31mred\\x1b[0m\\x07')
check('two\nlines\tand\r', 'two\\nlines\\tand\\r')
check('\x9b2J\x7f', '\\x9b2J\\x7f')
check('end\u202edne', 'end\\u202edne')

test('every text of a report is made printable, keys too; numbers and null stay', () => {
  expect(printable({ 'a\0': [1, null, true, { name: '\x1b' }] })).toEqual({
    'a\\x00': [1, null, true, { name: '\\x1b' }],
  })
})
