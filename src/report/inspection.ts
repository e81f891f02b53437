import { z } from 'zod'
import { finite } from './json.ts'

/** JSON of `modelwright inspect --json`. Fields are only ever added; a change of meaning raises `schemaVersion`. */
export const INSPECTION_SCHEMA_VERSION = 1

const json = z.json()
const record = z.record(z.string(), json)
/** a number that may be NaN or infinite, which JSON can only say as text */
const anyNumber = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])])
const shape = z.array(z.number())
const openShape = z.array(z.union([z.number(), z.string(), z.null()]))
const digest = z.string().regex(/^[0-9a-f]{64}$/)

const value = z.object({
  name: z.string(),
  dtype: z.string().optional(),
  shape: openShape.optional().describe('a number, a symbolic name, or null for unknown; absent without a rank'),
  container: z.string().optional().describe('anything that is no tensor: sequence, map, resource'),
})

const tensor = z.object({
  name: z.string(),
  dtype: z.string(),
  shape,
  bytes: z.number().describe('of the raw values'),
  role: z.enum(['parameter', 'buffer', 'constant', 'optimizer', 'ema', 'other']),
  quantization: z
    .object({ scales: z.array(z.number()), zeroPoints: z.array(z.number()), axis: z.number().optional() })
    .optional(),
  sha256: digest.optional().describe('of the raw little-endian C-order bytes; with --digests'),
})

const totals = z.object({
  tensors: z.number(),
  elements: z.number(),
  parameters: z.number().describe('elements of role parameter; tied ones, and variables stored under two keys, once'),
  bytes: z.number().describe('of all tensors, repeated ones once'),
  byDtype: z.array(z.object({ dtype: z.string(), tensors: z.number(), elements: z.number(), bytes: z.number() })),
  byRole: z.array(z.object({ role: z.string(), tensors: z.number(), elements: z.number(), bytes: z.number() })),
})

const moduleBase = z.object({
  name: z.string(),
  path: z.string(),
  kinds: z.array(z.string()).describe('kinds of the layers directly in it'),
  parameters: z.number().describe('in it and its children'),
  bytes: z.number(),
  macs: z.number().optional().describe('multiply-accumulates; absent where a shape is unknown'),
  outputShape: z.array(z.number().nullable()).optional(),
})

export type InspectedModule = z.infer<typeof moduleBase> & { children: InspectedModule[] }

const moduleTree: z.ZodType<InspectedModule> = moduleBase.extend({
  get children() {
    return z.array(moduleTree)
  },
})

const healthFinding = z.object({
  tensor: z.string(),
  problem: z.enum([
    'nan',
    'infinity',
    'negative-variance',
    'all-zero',
    'constant',
    'denormal',
    'large-scale',
    'small-scale',
    'unreadable',
  ]),
  severity: z.enum(['error', 'warning', 'note']),
  count: z.number().describe('elements concerned'),
  detail: z.string(),
})

/** JSON of `modelwright inspect --tensor NAME --json`. */
export const tensorReportSchema = z.object({
  schemaVersion: z.literal(INSPECTION_SCHEMA_VERSION),
  path: z.string(),
  format: z.string(),
  tensor,
  statistics: z.object({
    count: z.number(),
    min: finite.describe('over the finite values, as the next three'),
    max: finite,
    mean: finite,
    std: finite.describe('population standard deviation'),
    nanCount: z.number(),
    positiveInfinityCount: z.number(),
    negativeInfinityCount: z.number(),
    zeroCount: z.number(),
    denormalCount: z.number(),
    isConstant: z.boolean(),
  }),
  excerpt: z.array(anyNumber).describe('first values, C order; complex ones as magnitudes'),
  histogram: z
    .object({ min: z.number(), max: z.number(), counts: z.array(z.number()) })
    .nullable()
    .describe('equal bins from min to max; null where no value is finite'),
  health: z.array(healthFinding),
})

export const inspectionSchema = z.object({
  schemaVersion: z.literal(INSPECTION_SCHEMA_VERSION),
  path: z.string(),
  format: z.string().describe('id of the reader, e.g. onnx, pytorch, keras-h5'),
  title: z.string().describe('the format as people call it, e.g. ONNX, PyTorch, Keras HDF5'),
  variant: z.string().optional(),
  sha256: digest
    .nullable()
    .describe('of the opened file; of a folder: of the lines "<sha256>  <name>\\n" of its files, sorted by name'),
  files: z.array(
    z.object({
      name: z.string(),
      bytes: z.number(),
      role: z.enum(['main', 'weights', 'shard', 'index', 'config']),
      sha256: digest.optional().describe('of a folder, or with --digests'),
    }),
  ),
  metadata: z.object({
    framework: z.string().optional(),
    frameworkVersion: z.string().optional(),
    producer: z.string().optional(),
    producerVersion: z.string().optional(),
    formatVersion: z.string().optional(),
    opsets: z.record(z.string(), z.number()).optional(),
    name: z.string().optional(),
    description: z.string().optional(),
    properties: record.optional(),
  }),
  graphs: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['main', 'function', 'subgraph']),
      nodes: z.number(),
      inputs: z.array(value),
      outputs: z.array(value),
    }),
  ),
  totals,
  macs: z
    .object({
      total: z.number().describe('multiply-accumulates of one forward pass, batch 1 where it is open'),
      counted: z.number().describe('layers counted'),
      unknown: z
        .array(z.string())
        .describe('layers that multiply, but how often is unknown: then the total is a lower bound'),
    })
    .nullable()
    .describe('null where the file has no graph'),
  modules: moduleTree,
  operators: z.array(z.object({ op: z.string(), domain: z.string(), count: z.number() })),
  tensors: z.array(tensor),
  tied: z.array(z.array(z.string())).describe('names that view the same memory'),
  health: z.array(healthFinding).nullable().describe('null unless values were read'),
  training: z
    .object({
      epoch: z.number().optional(),
      step: z.number().optional(),
      optimizer: z
        .object({ name: z.string().optional(), inferred: z.boolean().optional(), groups: z.array(record) })
        .optional(),
      scheduler: record.optional(),
      arguments: record.optional(),
      metrics: record.optional(),
      other: record.optional(),
    })
    .nullable(),
  references: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['known', 'unknown', 'dangerous']),
      count: z.number(),
      file: z.string(),
      byteOffset: z.number(),
    }),
  ),
  listings: z.array(z.object({ name: z.string(), bytes: z.number() })),
  warnings: z.array(z.object({ code: z.string(), message: z.string(), subject: z.string().optional() })),
})

/** What `inspect` tells about a model: plain JSON data. */
export type Inspection = z.infer<typeof inspectionSchema>

/** What `inspect --tensor NAME` adds. */
export type TensorReport = z.infer<typeof tensorReportSchema>
