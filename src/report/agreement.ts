import { z } from 'zod'
import { finite } from './json.ts'

const base = {
  output: z.string().describe('of the reference; several are joined with " + "'),
  candidate: z.string(),
  recognised: z.string().describe('why the output was taken for this'),
  samples: z.number().describe('rows, pictures or maps that were looked at'),
  summary: z.string().describe('one sentence'),
}

const scores = z.object({
  ...base,
  kind: z.literal('scores'),
  classes: z.number(),
  top1: finite.describe('share of samples with the same first class'),
  k: z.number(),
  topK: finite.describe('mean share of the first k classes that both sides have'),
  swaps: z.number().describe('samples whose first class is another one'),
  benignSwaps: z.number().describe('of these, such that the two scores lie closer together than rounding'),
})

const boxes = z.object({
  ...base,
  kind: z.literal('boxes'),
  form: z.string().describe('how boxes lie in the tensor'),
  threshold: finite.describe('score from which a box counts'),
  referenceBoxes: z.number(),
  candidateBoxes: z.number(),
  matched: z.number().describe('boxes of the reference with one of the candidate at IoU >= 0.5'),
  meanIou: finite.describe('of matched boxes'),
  minIou: finite,
  maxScoreDifference: finite.describe('of matched boxes'),
  otherClass: z.number().describe('matched boxes with another class'),
})

const mask = z.object({
  ...base,
  kind: z.literal('mask'),
  classes: z.number(),
  pixelAgreement: finite.describe('share of pixels with the same class'),
  meanIou: finite.describe('mean over the classes that either side shows'),
})

/** What the task itself sees of the difference: information beside the verdict, never part of it. */
export const agreementSchema = z.discriminatedUnion('kind', [scores, boxes, mask])

/** Task-level agreement of one output. */
export type AgreementReport = z.infer<typeof agreementSchema>
