import { z } from 'zod'
import { EXPECTED_WORDS } from '../compare/accounted/expected.ts'
import { OUTPUT_KINDS } from '../compare/agreement/output.ts'

const value = z.union([z.number(), z.string(), z.boolean(), z.array(z.number()).max(16)])

const expected = z.strictObject({
  where: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(1000)])
    .describe('name of a tensor, node, layer or module of either model, or a pattern with * and ?; or a list of them'),
  what: z.enum(EXPECTED_WORDS).describe('a cause label (docs/causes.md), or new, removed, replaced, shape'),
  reason: z.string().min(1).describe('why it is so on purpose; shown in every report'),
  values: z
    .tuple([value, value])
    .optional()
    .describe('of the reference and of the candidate, e.g. [1.0e-5, 1.0e-3], or [1000, 20] for a class count'),
})

/** What modelwright.yaml may hold. Unknown keys are errors: a slip must not silently account for nothing. */
export const settingsSchema = z.strictObject({
  compare: z
    .strictObject({
      expected: z.array(expected).max(1000).optional().describe('differences that are on purpose'),
      outputs: z
        .record(z.string(), z.enum(OUTPUT_KINDS))
        .optional()
        .describe('what outputs stand for, where shape and values do not tell: boxes, scores, mask or raw'),
    })
    .optional(),
})
