/**
 * The SDK. Everything that the command line does is one of these functions: plain data in, plain data out.
 *
 * ```ts
 * import { compare, inspect, openInput } from 'modelwright'
 * const report = await compare(await openInput('net.onnx'), await openInput('port.onnx'))
 * ```
 */

export type { ByteSource } from './bytes/byte-source.ts'
export { DEFAULT_LIMITS, type Limits } from './bytes/limits.ts'
export { CAUSES, type CauseLabel } from './compare/vocabulary.ts'
export { type FormatCode, FormatError, InternalError, ToolError } from './errors.ts'
export type { Format, ModelInput } from './formats/format.ts'
export { FORMATS } from './formats/registry.ts'
export { decodeImage } from './host/decode-image.ts'
export { type OpenInput, openInput } from './host/open-input.ts'
export { createSha256 } from './host/sha256.ts'
export { type WriteOptions, writeOutput } from './host/write-output.ts'
export type { Graph, Node, Value } from './model/graph.ts'
export type { Metadata, Model, TrainingState } from './model/model.ts'
export { type Comparison, comparisonSchema } from './report/comparison.ts'
export { renderComparisonPage } from './report/html/comparison-page.ts'
export { type Inspection, inspectionSchema, type TensorReport, tensorReportSchema } from './report/inspection.ts'
export { renderComparison } from './report/render-comparison.ts'
export { renderInspection } from './report/render-inspection.ts'
export { renderTransfer } from './report/render-transfer.ts'
export { type Transfer, type TransferMap, transferMapSchema, transferSchema } from './report/transfer.ts'
export type { Settings } from './settings/parse-settings.ts'
export { settingsSchema } from './settings/settings.ts'
export { bisectFaults } from './tasks/bisect.ts'
export { type CompareOptions, compare, compareWithEvidence } from './tasks/compare.ts'
export { type InspectOptions, inspect, inspectTensor } from './tasks/inspect.ts'
export { readModel } from './tasks/open-model.ts'
export { readSettings } from './tasks/read-settings.ts'
export { type Evidence, type Repro, reproduce } from './tasks/repro.ts'
export { type SavedOutput, type TransferTaskOptions, transfer } from './tasks/transfer.ts'
export { decodeValues } from './tensor/decode.ts'
export { DTYPES, type Dtype } from './tensor/dtype.ts'
export { readTensor, type Tensor } from './tensor/tensor.ts'
export type { Output, PlannedFile } from './writers/output.ts'
