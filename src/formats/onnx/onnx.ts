import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { decodeMessage } from '../../encoding/protobuf.ts'
import { FormatError } from '../../errors.ts'
import type { Framework, Metadata, Model, ModelFile, Problem } from '../../model/model.ts'
import { DTYPES } from '../../tensor/dtype.ts'
import type { Quantization, Tensor, TensorRole } from '../../tensor/tensor.ts'
import type { Format, ModelInput } from '../format.ts'
import { attributeJson, attributeValue } from './attributes.ts'
import { type ExternalFiles, openExternalFiles } from './external.ts'
import { beginWalk, functionName, propertiesOf, type Walk, walkFunction, walkGraph } from './graph.ts'
import { match } from './match.ts'
import { readQuantization } from './quantization.ts'
import { type FunctionProto, ModelProto, type OperatorSetIdProto } from './schema.ts'
import { tensorLayout, toTensor } from './tensor.ts'

/** The newest IR version whose messages the schema here has. */
const NEWEST_IR = 14

/**
 * ONNX: one protobuf message with graph and weights; weights beyond 2 GB, or by choice, in files beside it.
 *
 * The structure is decoded on opening, values never (but the scales of quantised tensors). Sparse initializers come as
 * stored, see `walkGraph`; training graphs are named in a warning and not shown.
 */
export const onnx: Format = {
  id: 'onnx',
  title: 'ONNX',
  extensions: ['.onnx'],
  spec: 'https://github.com/onnx/onnx/blob/main/docs/IR.md',
  match,
  read: readOnnx,
}

/**
 * Reads an ONNX model.
 *
 * A file of external data that is not there is a warning; streaming a tensor out of it throws MISSING_FILE.
 * @throws {FormatError}
 */
async function readOnnx(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const proto = await decodeMessage<ModelProto>(ModelProto, main, limits)
  if (proto.graph === undefined) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: main.name,
      what: 'ONNX model',
      expected: 'a graph (field 7)',
      found: 'none',
    })
  }
  const walk = beginWalk(main)
  const graphs = [walkGraph(walk, proto.graph, 'main'), ...proto.functions.map((body) => walkFunction(walk, body))]
  const external = await openExternalFiles(input, walk.tensors)
  const plain = makeTensors(walk, external)
  const quantization = await readQuantization(walk.quantizedUses, plain, walk.warnings)
  return {
    format: 'onnx',
    ...(external.size > 0 ? { variant: 'external data' } : {}),
    files: listFiles(main, external),
    metadata: describe(proto),
    tensors: [...plain.values()].map((tensor) => withQuantization(tensor, quantization.get(tensor.name))),
    graphs,
    warnings: [...walk.warnings, ...modelWarnings(proto, walk, external)],
  }
}

function makeTensors(walk: Walk, external: ExternalFiles): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>()
  for (const use of walk.quantizedUses) {
    walk.roles.set(use.scale, 'constant')
    if (use.zeroPoint !== undefined) walk.roles.set(use.zeroPoint, 'constant')
    walk.roles.set(use.data, 'parameter')
  }
  for (const { name, role, content } of walk.tensors) {
    const layout = tensorLayout(content, name, walk.main, external)
    const { kind } = DTYPES[layout.dtype]
    // The file does not say what a tensor is for. Whole numbers and scalars are shapes, axes and bounds.
    const byType: TensorRole =
      (kind === 'float' || kind === 'complex') && layout.shape.length > 0 ? 'parameter' : 'constant'
    tensors.set(name, toTensor(name, role ?? walk.roles.get(name) ?? byType, layout))
    if (layout.values.kind === 'missing' && !('memory' in content) && content.dataLocation !== 1) {
      walk.warnings.push({ code: 'MISSING_VALUES', message: `tensor "${name}" has no values`, subject: name })
    }
  }
  return tensors
}

function withQuantization(tensor: Tensor, quantization: Quantization | undefined): Tensor {
  return quantization ? { ...tensor, quantization } : tensor
}

function listFiles(main: ByteSource, external: ExternalFiles): ModelFile[] {
  const partners = new Map<string, ModelFile>()
  for (const source of external.values())
    if (source) partners.set(source.name, { name: source.name, bytes: source.size, role: 'weights', source })
  return [{ name: main.name, bytes: main.size, role: 'main', source: main }, ...partners.values()]
}

function modelWarnings(proto: ModelProto, walk: Walk, external: ExternalFiles): Problem[] {
  const warnings: Problem[] = []
  if ((proto.irVersion ?? 0) > NEWEST_IR) {
    warnings.push({
      code: 'NEWER_VERSION',
      message: `IR version ${proto.irVersion} is newer than ${NEWEST_IR}, the newest that is known here: parts may be missing`,
    })
  }
  for (const [location, source] of external) {
    if (source) continue
    const count = walk.tensors.filter(
      ({ content }) =>
        'externalData' in content &&
        content.externalData.some(({ key, value }) => key === 'location' && value === location),
    ).length
    warnings.push({
      code: 'MISSING_FILE',
      message: `the values of ${count} tensors are in "${location}", which is not there`,
      subject: location,
    })
  }
  if (proto.trainingInfo.length > 0) {
    warnings.push({
      code: 'TRAINING_INFO',
      message: `the file holds ${proto.trainingInfo.length} training graphs (training_info), which are not shown`,
    })
  }
  return warnings
}

/** Frameworks by the beginning of the producer's name. */
const FRAMEWORKS: readonly (readonly [prefix: string, framework: Framework])[] = [
  ['pytorch', 'pytorch'],
  ['tf2onnx', 'tensorflow'],
  ['keras', 'keras'],
  ['onnx-caffe2', 'caffe2'],
  ['caffe2', 'caffe2'],
  ['paddle', 'paddlepaddle'],
  ['skl2onnx', 'scikit-learn'],
  ['cntk', 'cntk'],
  ['matlab', 'matlab'],
]

function describe(proto: ModelProto): Metadata {
  const { producerName = '', producerVersion = '', graph } = proto
  const framework = FRAMEWORKS.find(([prefix]) => producerName.toLowerCase().startsWith(prefix))?.[1]
  const description = proto.docString || graph?.docString
  const graphProperties = graph ? propertiesOf(graph) : {}
  const properties = {
    ...(proto.domain ? { domain: proto.domain } : {}),
    ...(proto.modelVersion ? { model_version: String(proto.modelVersion) } : {}),
    ...(proto.metadataProps.length > 0 ? { metadata_props: propertiesOf(proto) } : {}),
    ...(Object.keys(graphProperties).length > 0 ? { graph_metadata_props: graphProperties } : {}),
    ...(proto.functions.length > 0 ? { functions: proto.functions.map(describeFunction) } : {}),
    ...(proto.configuration.length > 0
      ? {
          configuration: proto.configuration.map(({ name = '', numDevices = 0 }) => ({
            name,
            num_devices: numDevices,
          })),
        }
      : {}),
  }
  return {
    ...(framework ? { framework } : {}),
    ...(framework === 'pytorch' && producerVersion ? { frameworkVersion: producerVersion } : {}),
    ...(producerName ? { producer: producerName } : {}),
    ...(producerVersion ? { producerVersion } : {}),
    ...(proto.irVersion === undefined ? {} : { formatVersion: `IR ${proto.irVersion}` }),
    opsets: opsetsOf(proto.opsetImport),
    ...(graph?.name ? { name: graph.name } : {}),
    ...(description ? { description } : {}),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
  }
}

function describeFunction(body: FunctionProto) {
  const sinks = { tensor: () => 'tensor', sparseTensor: () => 'sparse tensor', graph: () => undefined }
  const defaults = body.attributeProto.map(
    (attribute) => [attribute.name ?? '', attributeJson(attributeValue(attribute, sinks) ?? 'graph')] as const,
  )
  return {
    name: functionName(body),
    ...(body.docString ? { doc_string: body.docString } : {}),
    opsets: opsetsOf(body.opsetImport),
    ...(body.attribute.length > 0 ? { attributes: body.attribute } : {}),
    ...(defaults.length > 0 ? { attribute_defaults: Object.fromEntries(defaults) } : {}),
  }
}

function opsetsOf(imports: readonly OperatorSetIdProto[]): Record<string, number> {
  return Object.fromEntries(imports.map(({ domain, version }) => [domain || 'ai.onnx', version ?? 0]))
}
