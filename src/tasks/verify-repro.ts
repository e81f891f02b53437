import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { distance } from '../compare/distance.ts'
import { InternalError, ToolError } from '../errors.ts'
import { runFile } from '../execute/run-file.ts'
import type { ModelInput } from '../formats/format.ts'
import { readTensorProto } from '../formats/onnx/tensor-proto-file.ts'
import { type ArrayValue, numbersOf } from '../tensor/array-value.ts'
import { readTensor } from '../tensor/tensor.ts'
import type { Repro } from './repro.ts'

/**
 * Runs a written repro from its files, in a runtime of its own that knows nothing of the comparison: `model.onnx` must
 * miss the expected output, its twins must give it.
 * @throws {ToolError} NO_REPRO when it does not show the fault
 */
export async function verifyRepro(folder: ModelInput, { limit, files }: Repro): Promise<void> {
  const gap = async (model: string, data: string) => {
    const results = await runFile(await readFile(folder, model), (_, at) => arrayIn(folder, `${data}/input_${at}.pb`))
    const [found] = results.values()
    const expected = await arrayIn(folder, `${data}/output_0.pb`)
    if (found === undefined || found.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY
    return distance(numbersOf(expected), numbersOf(found)).relL2
  }
  const own = files.has('reference_data_set_0/output_0.pb') ? 'reference_data_set_0' : 'test_data_set_0'
  const twins = [
    ['repaired.onnx', 'test_data_set_0'],
    ['reference.onnx', own],
  ] as const
  for (const [twin, data] of twins) {
    if (!files.has(twin)) continue
    const off = await gap(twin, data)
    if (off > limit) throw new ToolError('NO_REPRO', `${twin} misses the expected output by ${off}`)
  }
  const off = await gap('model.onnx', 'test_data_set_0')
  if (!(off > limit)) throw new ToolError('NO_REPRO', `model.onnx run alone is off by ${off} only`)
}

async function readFile(folder: ModelInput, path: string): Promise<Uint8Array> {
  const source = await folder.open(path)
  if (source === undefined) throw new InternalError(`${path} was written and is not there`)
  return source.read(0, source.size)
}

async function arrayIn(folder: ModelInput, path: string): Promise<ArrayValue> {
  const source = await folder.open(path)
  if (source === undefined) throw new InternalError(`${path} was written and is not there`)
  const tensor = await readTensorProto(source, DEFAULT_LIMITS)
  return { dtype: tensor.dtype, shape: tensor.shape, bytes: await readTensor(tensor) }
}
