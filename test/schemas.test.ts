import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { runCli } from '../src/cli/run-cli.ts'

/** The published JSON Schemas accept what the program prints, and nothing with a field that they do not name. */
const docs = join(import.meta.dirname, '../docs/schemas')
const digits = 'examples/digits'

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0]
const load = (name: string) => z.fromJSONSchema(JSON.parse(readFileSync(join(docs, name), 'utf8')) as JsonSchema)

async function printed(words: readonly string[]): Promise<unknown> {
  let text = ''
  const out = (part: string) => {
    text += part
  }
  await runCli(words, { out, err: out, columns: 100, color: false, interactive: false })
  return JSON.parse(text)
}

const check = (schema: string, ...words: string[]) =>
  test(`modelwright ${words.join(' ')} --json is a ${schema}`, async () => {
    const report = await printed([...words, '--json'])
    expect(load(`${schema}.schema.json`).safeParse(report).error).toBeUndefined()
    expect(load(`${schema}.schema.json`).safeParse({ ...(report as object), unheardOf: 1 }).success).toBe(false)
  })

check('inspection', 'inspect', `${digits}/reference/digits.pt`, '--digests')
check('inspection', 'inspect', `${digits}/reference/digits-checkpoint.pt`)
check('inspection', 'inspect', `${digits}/reference/digits-torchscript.pt`)
check('inspection', 'inspect', `${digits}/reference/digits.onnx`)
check('inspection', 'inspect', `${digits}/candidate/digits-int8.tflite`)
check('inspection', 'inspect', `${digits}/candidate/saved_model`)
check('inspection', 'inspect', `${digits}/candidate/digits.keras`, '--header-only')
check('tensor-report', 'inspect', `${digits}/reference/digits.npz`, '--tensor', 'fc2.bias')
check('comparison', 'compare', `${digits}/reference/digits.pt`, `${digits}/candidate/digits-int8.tflite`)
check('comparison', 'compare', `${digits}/reference/digits.onnx`, `${digits}/mistakes/same-padding/digits.onnx`)
check('comparison', 'compare', `${digits}/reference/digits.onnx`, `${digits}/mistakes/unloaded-weight/digits.h5`)
check('transfer', 'transfer', `${digits}/reference/digits.pt`, '--into', `${digits}/candidate/digits.h5`, '--dry-run')
