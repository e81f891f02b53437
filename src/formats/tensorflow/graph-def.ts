import type { Limits } from '../../bytes/limits.ts'
import { GraphDefType } from '../../encoding/graph-def.ts'
import { FormatError } from '../../errors.ts'
import { readGraphDef } from '../../model/graph-def.ts'
import type { Model } from '../../model/model.ts'
import type { Format, ModelInput, Probe } from '../format.ts'
import { describeSignatures, findServed } from './describe.ts'
import { recogniseTf } from './match.ts'
import { MetaGraphType } from './meta-graph.ts'
import { readMessage } from './source-form.ts'

/**
 * A graph on its own: GraphDef (`.pb`, usually frozen: its constants are the weights) or MetaGraphDef (`.meta`, the
 * graph beside a TensorFlow 1 checkpoint), each in binary or text form.
 */
export const tfGraphDef: Format = {
  id: 'tf-graphdef',
  title: 'TensorFlow GraphDef',
  extensions: ['.pb', '.pbtxt', '.meta'],
  spec: 'https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/graph.proto',
  match: (probe) => (kindOf(probe) === undefined ? 'no' : 'yes'),
  read,
}

const KINDS = ['graph-def', 'graph-def-text', 'meta-graph', 'meta-graph-text'] as const

function kindOf(probe: Probe): (typeof KINDS)[number] | undefined {
  const kind = recogniseTf(probe)
  return KINDS.find((own) => own === kind)
}

async function read({ main, path }: ModelInput, limits: Limits): Promise<Model> {
  const head = await main.read(0, Math.min(65_536, main.size))
  const tail = head.subarray(0, 0)
  const fileName = path.toLowerCase()
  const probe: Probe = { fileName, size: main.size, head, tail, siblings: [], isFolder: false }
  const kind = kindOf(probe) ?? 'graph-def'
  return kind.startsWith('meta') ? readMeta(main, kind, limits) : readGraph(main, kind, limits)
}

async function readGraph(main: ModelInput['main'], kind: string, limits: Limits): Promise<Model> {
  const isText = kind.endsWith('text')
  const { message, context } = await readMessage(GraphDefType, main, isText ? 'text' : 'binary', limits)
  if (message.node.length === 0 && !message.library) throw nothing(main.name)
  const result = await readGraphDef(message, { context, name: 'main', constants: 'all' })
  const { producer, minConsumer } = message.versions ?? {}
  return {
    format: tfGraphDef.id,
    variant: isText ? 'GraphDef, text' : 'GraphDef',
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: {
      framework: 'tensorflow',
      ...(producer === undefined ? {} : { formatVersion: `GraphDef producer ${producer}` }),
      properties: { versions: { producer: producer ?? 0, minConsumer: minConsumer ?? 0 } },
    },
    ...result,
  }
}

async function readMeta(main: ModelInput['main'], kind: string, limits: Limits): Promise<Model> {
  const isText = kind.endsWith('text')
  const { message, context } = await readMessage(MetaGraphType, main, isText ? 'text' : 'binary', limits)
  if (!message.graphDef) throw nothing(main.name)
  const { metaInfoDef: info, signatureDef, graphDef, collectionDef } = message
  const served = findServed(signatureDef)
  const result = await readGraphDef(graphDef, { context, name: 'main', constants: 'large', ...served })
  const { producer } = graphDef.versions ?? {}
  return {
    format: tfGraphDef.id,
    variant: isText ? 'MetaGraphDef, text' : 'MetaGraphDef',
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: {
      framework: 'tensorflow',
      ...(info?.tensorflowVersion ? { frameworkVersion: info.tensorflowVersion } : {}),
      ...(producer === undefined ? {} : { formatVersion: `GraphDef producer ${producer}` }),
      properties: {
        tags: info?.tags ?? [],
        signatures: describeSignatures(signatureDef),
        collections: collectionDef.map(({ key }) => key ?? ''),
      },
    },
    ...result,
    warnings: [
      ...result.warnings,
      {
        code: 'WEIGHTS_ELSEWHERE',
        message: 'This is the graph of a checkpoint; its variables are in the .index and .data files beside it.',
      },
    ],
  }
}

function nothing(file: string): FormatError {
  const parts = { what: 'graph', byteOffset: 0, expected: 'nodes', found: 'none' }
  return new FormatError({ code: 'INVALID_FIELD', file, ...parts })
}
