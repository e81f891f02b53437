import { expect, test } from 'vitest'
import { refuseDuplicateKeys } from './json-keys.ts'

const check = (json: string) => refuseDuplicateKeys('x.json', new TextEncoder().encode(json), 8)

test.each([
  '{}',
  '[{"a":1},{"a":2}]',
  '{"a":{"a":[{"a":"a"}]},"b":"a"}',
  '{"a":"\\"a\\":","b":["a","a"], "c" : {} }',
  '"a"',
])('%s is accepted', (json) => {
  expect(() => check(json)).not.toThrow()
})

test.each([
  ['{"a":1,"a":2}', 'JSON key "a" at byte 15'],
  ['{"b":[],"a":{"c":{}, "c":1}}', 'JSON key "c" at byte 29'],
  ['{"a":1,"\\u0061":2}', 'expected each key once'],
])('%s is refused', (json, message) => {
  expect(() => check(json)).toThrow(message)
})
