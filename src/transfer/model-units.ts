import { splitName } from '../compare/weights/names.ts'
import { decodePiece } from '../compare/weights/values.ts'
import type { Layer } from '../layers/layer.ts'
import { layersOf } from '../layers/layers-of.ts'
import { repetitions, variableNames } from '../layers/variable-names.ts'
import type { Model } from '../model/model.ts'
import { DTYPES, elementCount, isFloat } from '../tensor/dtype.ts'
import { shortestFloat32 } from '../tensor/shortest-float.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'
import { unitsOfGraph } from './graph-units.ts'
import { layerGraph } from './layer-graph.ts'
import { unitsOfLoops } from './loop-units.ts'
import { compareNaturally, unitsOfNames } from './named-units.ts'
import type { Convention, Unit, UnitSet } from './units.ts'

/** Sorts the stored tensors of a model into units, by its graph, else by their names. Reads no values of kernels. */
export async function unitsOf(model: Model): Promise<UnitSet> {
  const layers = await layersOf(model)
  const auxiliary = new Map<Tensor, string>()
  const isRepeated = repetitions(model)
  const parameters: Tensor[] = []
  for (const tensor of inNaturalOrder(model)) {
    const reason =
      auxiliaryReason(tensor) ?? (isRepeated(tensor) ? 'the same variable as a tensor before it' : undefined)
    if (reason === undefined) parameters.push(tensor)
    else auxiliary.set(tensor, reason)
  }
  const hasGraph = statesOrder(model, layers)
  const found = hasGraph
    ? { ...graphUnits(layers, parameters, model.tensors), isOrdered: true }
    : { ...namedUnits(model, layers, parameters), beginnings: new Set<Tensor>() }
  const inUnits = new Set(found.units.flatMap(({ slots }) => slots.map(({ tensor }) => tensor)))
  for (const tensor of parameters)
    if (!inUnits.has(tensor) && tensor.role === 'constant')
      auxiliary.set(tensor, 'constant of the graph that no layer owns')
  for (const unit of found.units) await readEpsilon(unit)
  for (const tensor of found.beginnings) auxiliary.set(tensor, 'value that a loop begins with')
  return { ...found, layers: hasGraph ? layers : [], hasGraph, convention: conventionOf(model, parameters), auxiliary }
}

async function readEpsilon(unit: Unit): Promise<void> {
  const { epsilonTensor } = unit
  if (epsilonTensor === undefined) return
  const [epsilon] = decodePiece(epsilonTensor, await readTensor(epsilonTensor), 0)
  // float32 stores 1e-5 as 0.000009999999747
  if (epsilon !== undefined)
    Object.assign(unit, { attributes: { ...unit.attributes, epsilon: shortestFloat32(epsilon) } })
}

/**
 * Keras lists each variable twice in a SavedModel: under `variables/0`, `variables/1` .. in the order of its layers, and
 * in a set without order. The first one names the layers in order.
 */
function inNaturalOrder(model: Model): readonly Tensor[] {
  if (variableNames(model).size === 0) return model.tensors
  const isListed = ({ name }: Tensor) => /^(variables|layer_with_weights-)/.test(name)
  const first = model.tensors.filter(isListed).sort((a, b) => compareNaturally(a.name, b.name))
  return [...first, ...model.tensors.filter((tensor) => !isListed(tensor))]
}

/** TensorFlow's SavedModel spells a BatchNorm as seven operators; the names of its variables say more than they. */
function statesOrder(model: Model, layers: readonly Layer[]): boolean {
  if (model.format === 'tf-saved-model' || model.format === 'tf-checkpoint')
    if (variableNames(model).size > 0) return false
  return layers.some(({ inputs, weights }) => inputs.length > 0 && weights.length > 0)
}

function graphUnits(layers: readonly Layer[], tensors: readonly Tensor[], all: readonly Tensor[]) {
  const byName = (list: readonly Tensor[]) => new Map(list.map((tensor) => [tensor.name, tensor]))
  const { units, beginnings } = unitsOfGraph(layerGraph(layers), byName(tensors), byName(all))
  const owned = new Set(units.flatMap(({ slots }) => slots.map(({ tensor }) => tensor)))
  const loose = tensors.filter((tensor) => !owned.has(tensor) && !beginnings.has(tensor) && tensor.role !== 'constant')
  const inOrder = [...units, ...unitsOfLoops(loose)].map((unit, index) => Object.assign(unit, { index }))
  return { units: inOrder, beginnings }
}

function namedUnits(model: Model, layers: readonly Layer[], tensors: readonly Tensor[]) {
  const names = variableNames(model)
  const settings = new Map(layers.map((layer) => [layer.name, layer]))
  return unitsOfNames(tensors, (tensor) => names.get(tensor.name) ?? tensor.name, settings)
}

function auxiliaryReason(tensor: Tensor): string | undefined {
  const { dtype, role, shape, quantization } = tensor
  const { last } = splitName(tensor.name)
  if (role === 'optimizer') return 'optimiser state'
  if (role === 'ema') return 'averaged (EMA) copy of the parameters'
  if (/^(num_batches_tracked|num_updates|iterations?|seed_generator_state|global_step)$/i.test(last))
    return 'counter, not used at inference'
  if (dtype === 'string') return 'text'
  if (elementCount(shape) === 0) return 'holds no elements'
  if (DTYPES[dtype].kind === 'bool') return 'truth values (a mask or flag)'
  if (!isFloat(dtype) && quantization === undefined) return 'whole numbers (a shape, index or axis)'
  if (elementCount(shape) === 1 && role === 'constant') return 'single constant of the graph'
  if (/(^arith\.constant|\/zeros)\d*$/.test(tensor.name) && elementCount(shape) <= 8)
    return 'small constant of the graph'
  return undefined
}

/** By the framework; else by how its tensors are called. */
function conventionOf(model: Model, tensors: readonly Tensor[]): Convention {
  const { framework } = model.metadata
  if (model.format === 'tflite') return 'tflite'
  const lasts = tensors.map(({ name }) => splitName(name).last.toLowerCase())
  const count = (pattern: RegExp) => lasts.filter((last) => pattern.test(last)).length
  const torch = count(/^(weight|running_mean|running_var)$/)
  const keras = count(/^(kernel|kernel:0|gamma|beta|moving_mean|moving_variance|weights|biases|depthwise_kernel)$/)
  if (torch > 0 || keras > 0) return torch >= keras ? 'torch' : 'keras'
  return framework === 'keras' || framework === 'tensorflow' ? 'keras' : 'torch'
}
