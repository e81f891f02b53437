import type { Graph, Node } from '../model/graph.ts'
import type { Model } from '../model/model.ts'
import { readConstants } from './constants.ts'
import { caffeDialect } from './dialects/caffe.ts'
import { darknetDialect } from './dialects/darknet.ts'
import { kerasDialect } from './dialects/keras.ts'
import { ncnnDialect } from './dialects/ncnn.ts'
import { onnxDialect } from './dialects/onnx.ts'
import { tensorflowDialect } from './dialects/tensorflow.ts'
import { tfliteDialect } from './dialects/tflite.ts'
import { type Dialect, type Draft, draftOf } from './draft.ts'
import { type InputShapes, inferShapes } from './infer-shapes.ts'
import { inlineCalls } from './inline-calls.ts'
import type { Layer } from './layer.ts'
import { layersFromNames } from './layers-from-names.ts'
import { withModuleSettings } from './module-settings.ts'

/** One adapter per family of operator names. */
export const DIALECTS: readonly Dialect[] = [
  caffeDialect,
  darknetDialect,
  kerasDialect,
  ncnnDialect,
  onnxDialect,
  tensorflowDialect,
  tfliteDialect,
]

/**
 * The main graph of a model as layers, in order of execution, with shapes and multiply-accumulates where they follow.
 * Called functions are put in place of their calls; bodies of control flow stay inside their node, which is `other`.
 *
 * A model without a graph (a state dict) gives what names and shapes of its tensors tell: layers with weights, without
 * order, attributes or activations; a pickled whole module also gives the options of its layers.
 *
 * Reads the values of small stored tensors (shapes, axes), no kernels.
 *
 * @param inputShapes sizes for graph inputs, by name; they replace what the file states
 */
export async function layersOf(model: Model, inputShapes: InputShapes = {}): Promise<Layer[]> {
  const main = model.graphs.find(({ kind }) => kind === 'main')
  if (main === undefined || main.nodes.length === 0) return withModuleSettings(layersFromNames(model), model)
  const { graph, nodes } = inlineCalls(main, model)
  const tensors = new Map(model.tensors.map((tensor) => [tensor.name, tensor]))
  const constants = await readConstants(model.tensors)
  aliasConstants(graph, tensors, constants)
  const context = { model, graph, nodes, tensors, constants }
  const dialect = findDialect(model, nodes)
  const all = dialect?.draft(context) ?? nodes.map((node) => draftOf(node, { kind: 'other' }))
  const drafts = model.format === 'tf-saved-model' || model.format === 'tf-checkpoint' ? neededFor(graph, all) : all
  if (!dialect?.hasNoBatch) return inferShapes(drafts, context, inputShapes)
  const given = Object.entries(inputShapes).map(([name, shape]) => [name, shape.length === 3 ? [1, ...shape] : shape])
  return inferShapes(drafts, { ...context, graph: withBatches(graph) }, Object.fromEntries(given))
}

/**
 * Only what the outputs need: a MetaGraph also holds the graphs that save, restore, initialise and train, and a copy of
 * the network for each signature.
 */
function neededFor({ outputs }: Graph, drafts: readonly Draft[]): readonly Draft[] {
  const producers = new Map(drafts.flatMap((draft) => draft.outputs.map((output) => [output, draft] as const)))
  const needed = new Set<Draft>()
  // the scope of tf.gradients: a training graph holds it beside the network
  const open = outputs.map(({ name }) => name).filter((name) => !GRADIENTS.test(name))
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const draft = producers.get(name) ?? producers.get(name.replace(/:\d+$/, ''))
    if (draft === undefined || needed.has(draft) || GRADIENTS.test(draft.name)) continue
    needed.add(draft)
    open.push(...draft.node.inputs)
  }
  return needed.size === 0 ? drafts : drafts.filter((draft) => needed.has(draft))
}

const GRADIENTS = /(^|\/)gradients(_\d+)?\//

/** TensorFlow.js holds either Keras layers, which own their weights, or TensorFlow operators, which take them. */
function findDialect(model: Model, nodes: readonly Node[]): Dialect | undefined {
  const speaking = DIALECTS.filter(({ formats }) => formats.includes(model.format))
  if (speaking.length < 2) return speaking[0]
  return nodes.some(({ parameters, op }) => (parameters?.length ?? 0) > 0 || op === 'InputLayer')
    ? kerasDialect
    : tensorflowDialect
}

function withBatches(graph: Graph): Graph {
  return {
    ...graph,
    inputs: graph.inputs.map((value) => (value.shape ? { ...value, shape: [1, ...value.shape] } : value)),
  }
}

/** An ONNX `Constant` node's value is the tensor `const:OUTPUT`; its readers name OUTPUT. */
function aliasConstants<T>(graph: Graph, tensors: Map<string, T>, constants: Map<string, readonly number[]>): void {
  for (const node of graph.nodes) {
    for (const output of node.op === 'Constant' || node.op === 'Const' ? node.outputs : []) {
      const tensor = tensors.get(`const:${output}`)
      const value = constants.get(`const:${output}`)
      if (tensor !== undefined && !tensors.has(output)) tensors.set(output, tensor)
      if (value !== undefined && !constants.has(output)) constants.set(output, value)
    }
  }
}
