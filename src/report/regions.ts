import { z } from 'zod'
import { finite } from './json.ts'

/** How a value of the candidate was found to stand for one of the reference; see `RegionPair` in `compare/regions`. */
const pairFound = z.enum(['interface', 'name', 'weights', 'values', 'structure', 'resynchronised'])

const node = z.object({ name: z.string(), op: z.string() })

const valuePair = z.object({
  reference: z.string(),
  candidate: z.string(),
  layout: z
    .string()
    .describe('same, or what brings the reference into the candidate, e.g. channels first -> channels last'),
  found: pairFound,
  confidence: z.number().min(0).max(1),
})

/** A cause with the change that was tried and what came of it. */
export const causeSchema = z.object({
  label: z.string().describe('one of the published vocabulary, e.g. bn-epsilon, padding, flatten-order'),
  confidence: z.number().min(0).max(1),
  proved: z.boolean().describe('whether the stated change reproduces the other side on inputs not used to choose it'),
  detail: z.string(),
  referenceLayer: z.string().nullable(),
  candidateLayer: z.string().nullable(),
  before: finite.optional().describe('relative L2 distance at the end of the region as it is'),
  after: finite.optional().describe('the same with the stated change made'),
  fix: z.string().optional().describe('what to do, e.g. set epsilon=1e-05 in BatchNorm "stage2.bn1"'),
  indistinguishable: z
    .array(z.string())
    .optional()
    .describe('other causes that these inputs cannot tell from this one'),
})

export const regionSchema = valuePair.extend({
  state: z
    .enum(['same', 'suspicious', 'different', 'accounted', 'not-judged'])
    .describe("replayed alone on the reference's own values: ratio <= 10 same, <= 100 suspicious, above different"),
  reason: z.string().nullable().describe('why it was not judged, or what is special'),
  cut: z.array(valuePair).describe('paired values that both sides of the region start from'),
  referenceNodes: z.array(node),
  candidateNodes: z.array(node),
  relL2: finite,
  maxAbs: finite,
  maxRel: finite,
  worst: z.array(z.number()).nullable().describe('index of the element that differs most, in the reference'),
  floor: finite.describe('relative L2 distance that rounding alone explains here'),
  floorFrom: z.enum(['float64', 'disturbance', 'reduction', 'unit']),
  ratio: finite.describe('relL2 / floor'),
  accumulated: finite.describe('relative L2 distance at this place when both models run from their inputs'),
  causes: z.array(causeSchema).describe('most likely first'),
  smallest: z
    .object({
      reference: z.string(),
      candidate: z.string(),
      cut: z.array(z.object({ reference: z.string(), candidate: z.string() })),
      referenceNodes: z.array(node),
      candidateNodes: z.array(node),
      from: z.number().describe('operators of the candidate in the whole region'),
      spliced: z.number().describe('times a value of the reference was put into the candidate'),
    })
    .optional()
    .describe('with --bisect: the smallest part of the region that still differs'),
})

/** A value or node that no pairing rule reached. */
const unpairedValue = z.object({ name: z.string(), op: z.string().nullable(), reason: z.string() })

export const pairingSchema = z.object({
  found: z.record(pairFound, z.number()).describe('pairs by the rule that made them'),
  unpaired: z.object({ reference: z.array(unpairedValue), candidate: z.array(unpairedValue) }),
})

/** One judged region of a report. */
export type RegionReport = z.infer<typeof regionSchema>
/** A cause as a report states it. */
export type CauseReport = z.infer<typeof causeSchema>
/** How the values of both sides were paired, and which were not. */
export type PairingReport = z.infer<typeof pairingSchema>
