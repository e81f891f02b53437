import { z } from 'zod'

/** JSON of `modelwright transfer --json` and of the mapping file. Fields are only ever added. */
export const TRANSFER_SCHEMA_VERSION = 1

const ledgerState = z
  .enum(['mapped', 'folded', 'split', 'merged', 'derived', 'dropped', 'no-counterpart', 'ambiguous'])
  .describe(
    'mapped: the same numbers, perhaps in another layout; folded: BatchNorm multiplied in; split, merged: one to several, several to one; derived: no parameter; dropped: left out on purpose; no-counterpart: the other model has nothing for it; ambiguous: several fit equally well',
  )

const transformText = z
  .string()
  .nullable()
  .describe('how the target is made of `from` ($0, $1 ...), in the terms of numpy; null: it keeps its values')

const mapEntry = z.strictObject({
  target: z.string().describe('name of a tensor of the target'),
  from: z.array(z.string()).describe('names of tensors of the source; $0 is the first'),
  transform: transformText,
  state: ledgerState,
  reason: z.string(),
  foundBy: z
    .enum(['shape', 'structure', 'names', 'order', 'neighbours', 'rule', 'map-file'])
    .optional()
    .describe('for reading only: what told the partner from others of its shape'),
  confidence: z.number().min(0).max(1).optional().describe('for reading only'),
  candidates: z.array(z.string()).optional().describe('for reading only: what fits as well'),
  proposal: z
    .string()
    .optional()
    .describe('for reading only: the transform that makes it of `from`; put it into `transform` to take it'),
})

/** A mapping file: written beside the output, edited by a person, given back with `--map`. */
export const transferMapSchema = z.strictObject({
  schemaVersion: z.literal(TRANSFER_SCHEMA_VERSION),
  kind: z.literal('modelwright-transfer-map'),
  source: z.string().optional(),
  target: z.string().optional(),
  entries: z.array(mapEntry),
})
export type TransferMap = z.infer<typeof transferMapSchema>

const side = z.object({
  path: z.string(),
  format: z.string(),
  title: z.string(),
  tensors: z.number(),
})

export const transferSchema = z.object({
  schemaVersion: z.literal(TRANSFER_SCHEMA_VERSION),
  verdict: z
    .enum(['complete', 'incomplete'])
    .describe('complete: every parameter of both models is accounted for, and the comparison does not contradict'),
  summary: z.string().describe('the verdict in one sentence'),
  source: side,
  target: side,
  written: z
    .object({ format: z.string(), files: z.array(z.string()), map: z.string().nullable() })
    .nullable()
    .describe('null for a dry run'),
  parameters: z
    .object({
      total: z.number().describe('numbers in parameters of the target'),
      filled: z.number().describe('of these, made of the reference'),
      initialised: z.number().describe('set to what leaves the function of the reference unchanged'),
      missing: z.number().describe('left as they are although the reference says nothing about them'),
    })
    .describe('counted in numbers, not tensors'),
  targets: z.array(
    z.object({
      target: z.string(),
      shape: z.array(z.number()),
      state: ledgerState,
      from: z.array(z.string()),
      transform: transformText,
      reason: z.string(),
      foundBy: z.string(),
      confidence: z.number(),
      candidates: z.array(z.string()),
      missing: z.boolean(),
    }),
  ),
  sources: z.array(
    z.object({
      source: z.string(),
      shape: z.array(z.number()),
      state: ledgerState,
      into: z.array(z.string()),
      reason: z.string(),
      lost: z.boolean().describe('a parameter of the reference without a place in the target'),
    }),
  ),
  notes: z.array(z.string()),
  proof: z
    .object({
      tensors: z.number().describe('tensors that were filled'),
      identical: z.number().describe('of these, read back from the file bit for bit'),
      problems: z.array(z.string()),
    })
    .nullable()
    .describe('the file read again and every filled tensor computed again; null for a dry run'),
  comparison: z
    .object({
      explained: z
        .boolean()
        .describe('what differs are tensors that the ledger merges, splits, folds or initialises, and nothing else'),
      verdict: z.enum(['match', 'mismatch', 'not-compared']),
      summary: z.string(),
      weights: z.string().describe('what the stored tensors say'),
      behaviour: z.string().describe('what running both says'),
      causes: z.array(z.object({ label: z.string(), detail: z.string() })),
    })
    .nullable()
    .describe('of the reference with what was written; null for a dry run'),
})
export type Transfer = z.infer<typeof transferSchema>
