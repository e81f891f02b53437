import type { Problem } from '../../model/model.ts'
import type { Tensor } from '../../tensor/tensor.ts'

/** Variables and then the constants of their graph; a constant that has a variable's name is left out with a warning. */
export function addConstants(
  variables: readonly Tensor[],
  constants: readonly Tensor[],
): { tensors: Tensor[]; warnings: Problem[] } {
  const taken = new Set(variables.map(({ name }) => name))
  const clashing = constants.filter(({ name }) => taken.has(name))
  const warnings = clashing.map(({ name }) => ({
    code: 'DUPLICATE_NAME',
    message: `"${name}" names a variable and a constant; the constant is not among the tensors`,
    subject: name,
  }))
  return { tensors: [...variables, ...constants.filter(({ name }) => !taken.has(name))], warnings }
}
