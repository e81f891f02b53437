import { formatTitle } from '../formats/registry.ts'
import type { Layer } from '../layers/layer.ts'
import { buildModuleTree } from '../layers/module-tree.ts'
import { repetitions } from '../layers/variable-names.ts'
import type { Graph, Node, Value } from '../model/graph.ts'
import type { Model, TrainingState } from '../model/model.ts'
import { INSPECTION_SCHEMA_VERSION, type Inspection } from '../report/inspection.ts'
import type { HealthFinding } from '../tensor/health.ts'
import { countElements, type Tensor } from '../tensor/tensor.ts'
import { tieKey } from '../tensor/ties.ts'

interface Parts {
  readonly path: string
  readonly model: Model
  readonly layers: readonly Layer[]
  readonly health: readonly HealthFinding[] | null
  readonly tensorDigests: ReadonlyMap<string, string>
  readonly sha256: string | null
  readonly fileDigests: ReadonlyMap<string, string>
}

/** Puts everything known of a model into the report's form. Nothing is read here. */
export function describeModel(parts: Parts): Inspection {
  const { model, layers } = parts
  const report: Inspection = {
    schemaVersion: INSPECTION_SCHEMA_VERSION,
    path: parts.path,
    format: model.format,
    title: formatTitle(model.format),
    ...(model.variant === undefined ? {} : { variant: model.variant }),
    sha256: parts.sha256,
    files: model.files.map(({ name, bytes, role }) => {
      const sha256 = parts.fileDigests.get(name)
      return { name, bytes, role, ...(sha256 === undefined ? {} : { sha256 }) }
    }),
    metadata: plain(model.metadata),
    graphs: model.graphs.map((graph) => describeGraph(graph, model, layers)),
    totals: countTotals(model),
    macs: countWork(model, layers),
    modules: plain(buildModuleTree(model, layers)),
    operators: countOperators(model.graphs),
    tensors: model.tensors.map((tensor) => describeTensor(tensor, parts.tensorDigests.get(tensor.name))),
    tied: findTied(model.tensors),
    health: parts.health === null ? null : [...parts.health],
    training:
      model.training === undefined ? null : plain<NonNullable<Inspection['training']>>(model.training as TrainingState),
    references: (model.references ?? []).map((reference) => ({ ...reference })),
    listings: (model.listings ?? []).map(({ name, bytes }) => ({ name, bytes })),
    warnings: model.warnings.map((warning) => ({ ...warning })),
  }
  return report
}

/** The same data under the report's (mutable) type; readers' records are JSON by contract. */
function plain<T>(value: unknown): T {
  return value as T
}

export function describeTensor(tensor: Tensor, sha256: string | undefined): Inspection['tensors'][number] {
  const { name, dtype, shape, bytes, role, quantization } = tensor
  return {
    name,
    dtype,
    shape: [...shape],
    bytes,
    role,
    ...(quantization === undefined
      ? {}
      : {
          quantization: {
            scales: [...quantization.scales],
            zeroPoints: [...quantization.zeroPoints],
            ...(quantization.axis === undefined ? {} : { axis: quantization.axis }),
          },
        }),
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}

/** JSON has no NaN and no infinities: they become text. */
export function excerptOf(values: readonly number[]): (number | 'NaN' | 'Infinity' | '-Infinity')[] {
  return values.map((value) =>
    Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? value : value > 0 ? 'Infinity' : '-Infinity',
  )
}

function describeGraph(graph: Graph, model: Model, layers: readonly Layer[]): Inspection['graphs'][number] {
  // graphs of old ONNX files list their initializers among the inputs
  const stored = new Set(model.tensors.map(({ name }) => name))
  return {
    name: graph.name,
    kind: graph.kind,
    nodes: graph.nodes.length,
    inputs: graph.inputs.filter(({ name }) => !stored.has(name)).map(describeValue),
    outputs: graph.outputs.map((value) => describeValue(graph.kind === 'main' ? withShape(value, layers) : value)),
  }
}

/** An output whose shape the file leaves open, with the one that follows from the layers. */
function withShape(value: Value, layers: readonly Layer[]): Value {
  if (value.shape !== undefined) return value
  const layer = layers.find(({ outputs }) => outputs.includes(value.name))
  const shape = layer?.outputShapes[layer.outputs.indexOf(value.name)]
  return shape === undefined ? value : { ...value, shape }
}

function describeValue({ name, dtype, shape, container }: Value): Inspection['graphs'][number]['inputs'][number] {
  return {
    name,
    ...(dtype === undefined ? {} : { dtype }),
    ...(shape === undefined ? {} : { shape: [...shape] }),
    ...(container === undefined ? {} : { container }),
  }
}

function countTotals(model: Model): Inspection['totals'] {
  const { tensors } = model
  const byDtype = new Map<string, { tensors: number; elements: number; bytes: number }>()
  const byRole = new Map<string, { tensors: number; elements: number; bytes: number }>()
  const isRepetition = repetitions(model)
  const totals = { tensors: tensors.length, elements: 0, parameters: 0, bytes: 0 }
  for (const tensor of tensors) {
    const elements = countElements(tensor)
    for (const [table, key] of [
      [byDtype, tensor.dtype],
      [byRole, tensor.role],
    ] as const) {
      const row = table.get(key) ?? { tensors: 0, elements: 0, bytes: 0 }
      table.set(key, { tensors: row.tensors + 1, elements: row.elements + elements, bytes: row.bytes + tensor.bytes })
    }
    totals.elements += elements
    if (isRepetition(tensor)) continue
    totals.bytes += tensor.bytes
    if (tensor.role === 'parameter') totals.parameters += elements
  }
  const rows = <Name extends string>(table: typeof byDtype, name: Name) =>
    [...table]
      .map(([key, row]) => ({ [name]: key, ...row }) as { [key in Name]: string } & typeof row)
      .sort((left, right) => right.bytes - left.bytes || (left[name] < right[name] ? -1 : 1))
  return { ...totals, byDtype: rows(byDtype, 'dtype'), byRole: rows(byRole, 'role') }
}

function countWork(model: Model, layers: readonly Layer[]): Inspection['macs'] {
  if (model.graphs.length === 0) return null
  return {
    total: layers.reduce((sum, { macs }) => sum + (macs ?? 0), 0),
    counted: layers.filter(({ macs }) => macs !== undefined).length,
    unknown: layers.filter(({ isUncounted }) => isUncounted).map(({ name }) => name),
  }
}

/** How often each operator occurs, bodies of control flow included; most frequent first. */
function countOperators(graphs: readonly Graph[]): Inspection['operators'] {
  const counts = new Map<string, { op: string; domain: string; count: number }>()
  const visit = (nodes: readonly Node[]) => {
    for (const { op, domain, subgraphs } of nodes) {
      const key = `${domain} ${op}`
      const entry = counts.get(key) ?? { op, domain, count: 0 }
      entry.count++
      counts.set(key, entry)
      for (const subgraph of Object.values(subgraphs ?? {})) visit(subgraph.nodes)
    }
  }
  for (const { nodes } of graphs) visit(nodes)
  return [...counts.values()].sort((left, right) => right.count - left.count || (left.op < right.op ? -1 : 1))
}

function findTied(tensors: readonly Tensor[]): string[][] {
  const groups = new Map<string, string[]>()
  for (const tensor of tensors) {
    const key = tieKey(tensor)
    if (key === undefined || tensor.bytes === 0) continue
    const group = groups.get(key)
    if (group) group.push(tensor.name)
    else groups.set(key, [tensor.name])
  }
  return [...groups.values()].filter(({ length }) => length > 1)
}
