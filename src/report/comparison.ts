import { z } from 'zod'
import { accountedSchema } from './accounted.ts'
import { agreementSchema } from './agreement.ts'
import { finite } from './json.ts'
import { causeSchema, pairingSchema, regionSchema } from './regions.ts'

/** JSON of `modelwright compare --json`. Fields are only ever added; a change of meaning raises `schemaVersion`. */
export const COMPARISON_SCHEMA_VERSION = 1

const fileSummary = z.object({
  path: z.string(),
  format: z.string().describe('id of the reader, e.g. onnx, pytorch, keras-h5'),
  title: z.string().describe('the format as people call it, e.g. ONNX, PyTorch, Keras HDF5'),
  sha256: z.string().nullable().describe('of the opened file; null for a folder'),
  framework: z.string().optional(),
  tensors: z.number().describe('stored tensors'),
})

const parameter = z.object({
  reference: z.string(),
  candidate: z.string(),
  relation: z.enum(['exact', 'layout', 'folded', 'rounded', 'quantised', 'close', 'different']),
  transform: z.string().nullable().describe('what turns the reference into the candidate, e.g. OIHW -> HWIO'),
  maxAbs: finite.describe('largest |candidate - expected|'),
  maxRel: finite.describe('maxAbs / max |expected|'),
  accepted: z.boolean().describe('whether the pair agrees with a match'),
  epsilon: z.number().optional().describe('BatchNorm epsilon that explains a folded pair'),
  detail: z.string().optional(),
  referenceTensors: z.array(z.string()).describe('all tensors of the reference that enter this pair'),
  candidateTensors: z.array(z.string()),
})

const unpairedTensor = z.object({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.number()),
  matters: z.boolean().describe('whether its absence makes the models differ'),
  reason: z.string(),
})

const valueRow = z.object({
  reference: z.string(),
  candidate: z.string().nullable(),
  status: z
    .enum(['equal', 'different', 'hidden', 'after-divergence', 'accounted'])
    .describe('hidden: fused or folded away in the candidate, with agreement behind it; accounted: expected'),
  layout: z.string().nullable(),
  maxAbs: finite,
  maxRel: finite,
  relL2: finite,
  tolerance: finite.describe('largest relL2 that counts as equal here'),
})

const output = valueRow.extend({ referenceShape: z.array(z.number()), candidateShape: z.array(z.number()).nullable() })

const divergence = z.object({
  referenceTensor: z.string().nullable(),
  candidateTensor: z.string().nullable(),
  referenceNode: z.string().nullable(),
  candidateNode: z.string().nullable(),
  referenceOp: z.string().nullable(),
  candidateOp: z.string().nullable(),
  maxAbs: finite,
  maxRel: finite,
  detail: z.string().describe('one sentence for a person'),
})

export const comparisonSchema = z.object({
  schemaVersion: z.literal(COMPARISON_SCHEMA_VERSION),
  verdict: z.enum(['match', 'mismatch', 'not-compared']),
  summary: z.string().describe('the verdict in one sentence'),
  reference: fileSummary,
  candidate: fileSummary,
  weights: z.object({ verdict: z.enum(['match', 'mismatch', 'not-compared']), reason: z.string() }),
  behaviour: z.object({
    verdict: z.enum(['match', 'mismatch', 'not-compared']),
    reason: z.string(),
    runtime: z.string().nullable(),
    inputs: z.array(
      z.object({
        name: z.string(),
        candidateName: z.string(),
        shape: z.array(z.number()),
        candidateLayout: z.string(),
        origin: z.string(),
      }),
    ),
    tolerance: z.string().describe('the rule by which two values count as equal'),
  }),
  parameters: z.array(parameter),
  unpaired: z.object({ reference: z.array(unpairedTensor), candidate: z.array(unpairedTensor) }),
  outputs: z.array(output),
  values: z.array(valueRow).describe('every observed value of the reference, in order of execution'),
  firstDivergence: divergence.nullable(),
  causes: z.array(causeSchema).describe('most likely first; those of each region stand there too'),
  regions: z
    .array(regionSchema)
    .describe('stretches between paired values, replayed alone on the values of the reference, in its order'),
  pairing: pairingSchema.nullable().describe('null where nothing ran'),
  accounted: z.array(accountedSchema).describe('differences that modelwright.yaml expects'),
  agreement: z.array(agreementSchema).describe('top classes, boxes, masks: beside the verdict, never part of it'),
  coverage: z.object({
    referenceTensors: z.number().describe('values observed in the reference where both ran, else its stored tensors'),
    compared: z.number(),
    skipped: z.number().describe('without counterpart in the candidate; each is listed with its reason'),
    of: z.enum(['values', 'parameters']),
  }),
  notCompared: z.array(z.object({ what: z.string(), reason: z.string() })),
  notes: z.array(z.string()),
})

/** The result of comparing two models: plain data, the same for SDK, `--json` and every renderer. */
export type Comparison = z.infer<typeof comparisonSchema>
