import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { openInput } from '../src/host/open-input.ts'
import type { Model } from '../src/model/model.ts'
import { readModel } from '../src/tasks/open-model.ts'

const folder = resolve(import.meta.dirname, '../../shared/data/models')

interface Expected {
  readonly file: string
  readonly tensors: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: number[]
    sha256: string
  }[]
}

/** Path of a file in the collection of real models beside the repository; it need not exist. */
export const sharedModel = (file: string): string => join(folder, file)

/** `test`, or a skipped one that says why, when the collection is not there. */
export const sharedTest = existsSync(join(folder, 'oracle.json'))
  ? test
  : (((name: string) => test.skip(`${name} (no ../shared/data/models beside the repository)`)) as typeof test)

/**
 * A test per file: names, dtypes, shapes and bytes of all its tensors equal those in the collection's oracle, in
 * whatever order.
 * @param files as the oracle names them
 * @param also further assertions on the Model
 */
export function describeOracle(files: readonly string[], also: (model: Model, file: string) => void = () => {}): void {
  for (const file of files) {
    sharedTest(`${file}: all tensors equal the oracle`, async () => {
      const oracle = JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8')) as { expected: Expected[] }
      const expected = oracle.expected.find((entry) => entry.file === file)
      expect(expected, `${file} is not in the oracle`).toBeDefined()
      const input = await openInput(join(folder, file))
      try {
        const model = await readModel(input)
        const found = []
        for (const { name, dtype, shape, stream } of model.tensors) {
          const hash = createHash('sha256')
          for await (const chunk of stream()) hash.update(chunk)
          found.push({ name, dtype, shape, sha256: hash.digest('hex') })
        }
        const byName = (left: { name: string }, right: { name: string }) => (left.name < right.name ? -1 : 1)
        const wanted = expected!.tensors.map(({ name, dtype, shape, sha256 }) => ({ name, dtype, shape, sha256 }))
        expect(found.sort(byName)).toEqual(wanted.sort(byName))
        also(model, file)
      } finally {
        await input.close()
      }
    })
  }
}
