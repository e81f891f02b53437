import { z } from 'zod'

/** A difference that `modelwright.yaml` expects, and whether it is still there. */
export const accountedSchema = z.object({
  where: z.array(z.string()).describe('names or patterns as the file gives them'),
  what: z.string().describe('a cause label, or new, removed, replaced, shape'),
  reason: z.string(),
  values: z.array(z.unknown()).nullable().describe('expected values of reference and candidate'),
  state: z
    .enum(['holds', 'gone', 'other', 'no-such-place'])
    .describe('holds: found as stated; gone: nothing differs there any more; other: it differs in another way'),
  found: z.string().describe('what was found there, in words'),
  places: z.array(z.string()).describe('where it was found, in the names of the reference, else of the candidate'),
})

/** One expected difference of a report. */
export type AccountedReport = z.infer<typeof accountedSchema>
