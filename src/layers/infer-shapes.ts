import type { Graph } from '../model/graph.ts'
import { findNumber, findNumbers, findRecord } from './attributes.ts'
import type { DialectContext, Draft } from './draft.ts'
import type { Layer } from './layer.ts'
import { countMacs, countsWork, type MultiplicationTest, multiplicationTest } from './macs.ts'
import type { Shape } from './shape.ts'
import { inferLayerShapes } from './shape-rules.ts'
import { evaluateValue } from './shape-values.ts'

/** Sizes that the user gives for graph inputs, by name; they replace what the file says. */
export type InputShapes = Readonly<Record<string, readonly number[]>>

/**
 * Fills in shapes and multiply-accumulates, front to back.
 *
 * An unknown first dimension of a graph input is the batch and counts as 1, so that figures are per picture. Where a
 * layer is not understood, the shape that the file states for its output is taken (not when the user gave sizes: the
 * file's are for others); without one, what follows is unknown.
 */
export function inferShapes(
  drafts: readonly Draft[],
  { model, graph, tensors, constants }: Pick<DialectContext, 'model' | 'graph' | 'tensors' | 'constants'>,
  inputShapes: InputShapes = {},
): Layer[] {
  const multiplies = multiplicationTest(model.graphs)
  const shapes = new Map<string, Shape>()
  const values = new Map<string, readonly number[]>(constants)
  for (const [name, tensor] of tensors) shapes.set(name, tensor.shape)
  const inputs = graph.inputs.filter(({ name }) => !tensors.has(name))
  for (const { name, shape } of inputs) shapes.set(name, inputShapes[name] ?? withBatch(numeric(shape)))
  const trustStated = !inputs.some(({ name }) => inputShapes[name] !== undefined)
  const stated = statedShapes(graph)
  const shapeOf = (value: string): Shape => shapes.get(value)

  // inside a TensorFlow function a value is `node:port:index`, and shapes are stated by node
  const statedShape = (name: string) => stated.get(name) ?? stated.get(name.replace(/:\w+:0$/, ''))

  return drafts.map((draft) => {
    const operands = draft.operands.map(shapeOf)
    const operandValues = draft.operands.map((name) => values.get(name))
    const found = inferLayerShapes({
      draft,
      inputs: draft.inputs.map(shapeOf),
      operands,
      values: operandValues,
      shapeOf,
    })
    draft.outputs.forEach((name, i) => {
      const inferred = found[i]
      const fallback = trustStated || draft.kind === 'input' ? statedShape(name) : undefined
      const shape = inferred === undefined || (inferred.includes(null) && fallback) ? (fallback ?? inferred) : inferred
      if (shape !== undefined || !shapes.has(name)) shapes.set(name, shape)
    })
    const [output] = draft.outputs
    const value = evaluateValue({
      op: draft.op,
      operands: operandValues,
      operandShapes: operands,
      axis: findNumber(draft.node.attributes, 'axis') ?? 0,
      start: findNumber(draft.node.attributes, 'start'),
      end: findNumber(draft.node.attributes, 'end'),
      fill: findNumbers(findRecord(draft.node.attributes, 'value'), 'values')?.[0],
    })
    if (output !== undefined && value !== undefined && !values.has(output)) values.set(output, value)
    return finish(draft, shapeOf, multiplies)
  })
}

function finish(draft: Draft, shapeOf: (value: string) => Shape, multiplies: MultiplicationTest): Layer {
  const isCounted = countsWork(draft)
  const macs = isCounted ? countMacs(draft, shapeOf) : undefined
  return {
    name: draft.name,
    kind: draft.kind,
    op: draft.op,
    weights: draft.weights,
    attributes: draft.attributes,
    inputs: draft.inputs,
    outputs: draft.outputs,
    inputShapes: draft.inputs.map(shapeOf),
    outputShapes: draft.outputs.map(shapeOf),
    ...(macs === undefined ? {} : { macs }),
    ...(macs === undefined && (isCounted || multiplies(draft.node)) ? { isUncounted: true } : {}),
    ...(draft.fusedActivation === undefined ? {} : { fusedActivation: draft.fusedActivation }),
  }
}

function statedShapes(graph: Graph): Map<string, Shape> {
  const stated = new Map<string, Shape>()
  for (const value of [...graph.values.values(), ...graph.outputs]) {
    const shape = withBatch(numeric(value.shape))
    if (shape !== undefined) stated.set(value.name, shape)
  }
  return stated
}

function numeric(shape: readonly (number | string | null)[] | undefined): Shape {
  return shape?.map((size) => (typeof size === 'number' && size >= 0 ? size : null))
}

function withBatch(shape: Shape): Shape {
  return shape?.[0] === null ? [1, ...shape.slice(1)] : shape
}
