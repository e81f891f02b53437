import { ToolError } from '../../src/errors.ts'
import type { ModelInput } from '../../src/formats/format.ts'
import type { Model } from '../../src/model/model.ts'
import { DTYPES } from '../../src/tensor/dtype.ts'
import { readTensor } from '../../src/tensor/tensor.ts'
import type { FilledTensor } from '../../src/transfer/plan.ts'
import type { Output } from '../../src/writers/output.ts'
import { planOutput } from '../../src/writers/plan-output.ts'
import { FUZZ_LIMITS } from './case.ts'

/**
 * Writes a model that was read from a damaged file, in memory: as itself and as a new file. Writers may refuse; they
 * must not write outside the folder, leave holes, or give other bytes than they planned.
 *
 * @param maxBytes a model of more bytes than this is left alone
 * @returns what came of it, for the signature
 */
export async function writeEverything(model: Model, input: ModelInput, maxBytes: number): Promise<string> {
  const filled = model.tensors
    .filter(({ dtype, bytes }) => DTYPES[dtype].kind === 'float' && bytes > 0)
    .map((target): FilledTensor => ({ target, values: async () => (await readTensor(target)).map((byte) => byte ^ 1) }))
  const all = [...model.tensors, ...model.files].reduce((sum, { bytes }) => sum + bytes, 0)
  if (all > maxBytes) return ''
  const said = new Set<string>()
  for (const out of ['out.safetensors', model.files[0]!.name]) {
    for (const chosen of [filled, filled.slice(0, 1)]) {
      try {
        await check(await planOutput({ target: model, input, filled: chosen, out, limits: FUZZ_LIMITS }))
        said.add('written')
      } catch (error) {
        if (!(error instanceof ToolError)) throw error
        said.add(error.code)
      }
    }
  }
  return [...said].sort().join(' ')
}

async function check({ files }: Output): Promise<void> {
  for (const file of files) {
    if (/^[/\\]|^[A-Za-z]:|\0/.test(file.path) || file.path.split(/[\\/]/).includes('..'))
      throw new Error(`a file outside the folder: ${JSON.stringify(file.path)}`)
    let end = 0
    for await (const { offset, bytes } of file.pieces()) {
      if (offset > end) throw new Error(`a hole from byte ${end} to ${offset}`)
      end = Math.max(end, offset + bytes.length)
    }
    if (end !== file.bytes) throw new Error(`${end} bytes written, ${file.bytes} planned`)
  }
}
