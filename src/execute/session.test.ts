import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ArrayValue } from '../tensor/array-value.ts'
import { openSession } from './session.ts'

const digits = readFileSync(join(import.meta.dirname, '../../examples/digits/reference/digits.onnx'))
const image = (batch: number): ArrayValue => ({
  dtype: 'float32',
  shape: [batch, 3, 16, 12],
  bytes: new Uint8Array(batch * 3 * 16 * 12 * 4),
})

test('a session that is closed while it runs ends the run first: the process would be aborted otherwise', async () => {
  const session = await openSession(digits)
  const run = session.run(new Map([['image', image(2000)]]), session.outputs)
  await session.close()
  expect((await run).get('logits')?.shape).toEqual([2000, 10])
})

test('what the runtime refuses is an error with its reason', async () => {
  const session = await openSession(digits)
  const wrong = { ...image(1), shape: [1, 16, 12, 3] }
  await expect(session.run(new Map([['image', wrong]]), session.outputs)).rejects.toMatchObject({
    code: 'CANNOT_RUN',
    message: expect.stringContaining('invalid dimensions'),
  })
  await session.close()
})

test('bytes that are no model are an error with its reason', async () => {
  await expect(openSession(new Uint8Array([1, 2, 3]))).rejects.toMatchObject({ code: 'CANNOT_RUN' })
})
