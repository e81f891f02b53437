import type { ArrayValue } from '../tensor/array-value.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { OnnxProgram } from './program.ts'

/** The program with other values for some of its stored tensors, by their names in the model. */
export function withConstants(program: OnnxProgram, replaced: ReadonlyMap<string, ArrayValue>): OnnxProgram {
  if (replaced.size === 0) return program
  const constants = new Map<string, Tensor>()
  for (const [value, tensor] of program.constants) {
    const other = replaced.get(tensor.name)
    constants.set(value, other ? inMemory(tensor, other) : tensor)
  }
  return { ...program, constants }
}

function inMemory({ name, role }: Tensor, { dtype, shape, bytes }: ArrayValue): Tensor {
  return {
    name,
    role,
    dtype,
    shape,
    bytes: bytes.length,
    async *stream() {
      yield bytes
    },
  }
}
