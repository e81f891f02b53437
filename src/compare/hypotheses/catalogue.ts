import { extraActivation, insertedActivation, missingActivation, otherActivation } from './catalogue/activations.ts'
import { oneFactor, orderFitted, perChannel } from './catalogue/fits.ts'
import { channelOrder, endTransposed, flattenOrder, inputChannels, recurrent } from './catalogue/layout.ts'
import { batchNormParameters, epsilon, normAsTrained } from './catalogue/normalisation.ts'
import { attention, inputPreparation, narrowCast, statedScalars } from './catalogue/numbers.ts'
import { addedOn, leftOut, otherWiring, partsInOtherOrder } from './catalogue/structure.ts'
import { foldedKernels, gateOrder, kernelsMoved, otherLayersWeights, vectorsAtStart } from './catalogue/weights.ts'
import { padding, pooling, resizing, softmaxAxis, strides } from './catalogue/windows.ts'
import type { Hypothesis } from './hypothesis.ts'
import { statedAttributes, statedConstants, statedOperators, swappedInputs } from './stated-differences.ts'

/**
 * All hypotheses. Stages run in order; within one, all trials run side by side, and among those that restore parity the
 * one with the fewest fitted numbers and the highest prior is the cause. A new cause needs a row here and a test that
 * plants it.
 */
export const CATALOGUE: readonly Hypothesis[] = [
  statedAttributes,
  statedConstants,
  statedOperators,
  swappedInputs,
  leftOut,
  addedOn,
  partsInOtherOrder,
  missingActivation,
  extraActivation,
  insertedActivation,
  otherActivation,
  epsilon,
  batchNormParameters,
  normAsTrained,
  padding,
  strides,
  pooling,
  resizing,
  softmaxAxis,
  attention,
  narrowCast,
  kernelsMoved,
  vectorsAtStart,
  gateOrder,
  recurrent,
  inputChannels,
  inputPreparation,
  flattenOrder,
  channelOrder,
  endTransposed,
  statedScalars,
  otherWiring,
  otherLayersWeights,
  foldedKernels,
  oneFactor,
  orderFitted,
  perChannel,
]
