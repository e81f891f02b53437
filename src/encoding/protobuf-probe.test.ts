import { expect, test } from 'vitest'
import { probeFields, probeNested, probeText } from './protobuf-probe.ts'

test('lists the fields of a whole message', () => {
  const head = Uint8Array.of(0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69, 0x1d, 0, 0, 0, 0)
  const fields = probeFields(head, head.length)!
  expect(fields.map(({ id, wireType, length, complete }) => [id, wireType, length, complete])).toEqual([
    [1, 0, 2, true],
    [2, 2, 2, true],
    [3, 5, 4, true],
  ])
  expect(fields[0]?.value).toBe(150)
  expect(probeText(head, fields[1]!)).toBe('hi')
})

test('a field longer than the head is listed as incomplete, one longer than the file refuted', () => {
  const head = Uint8Array.of(0x3a, 0x64, 0x0a, 0x02, 0x61, 0x62)
  expect(probeFields(head, 102)).toMatchObject([{ id: 7, length: 100, complete: false }])
  expect(probeNested(head, probeFields(head, 102)![0]!)).toMatchObject([{ id: 1, length: 2 }])
  expect(probeFields(head, 101)).toBeUndefined()
})

test.each([
  ['nothing', []],
  ['field number 0', [0x00]],
  ['a group', [0x0b, 0x0c]],
  ['wire type 6', [0x0e, 0x00]],
  ['a cut number', [0x08, 0x80]],
  ['an endless number', [0x08, ...Array(12).fill(0x80)]],
])('%s is no message', (_name, bytes) => {
  expect(probeFields(Uint8Array.from(bytes), bytes.length)).toBeUndefined()
})
