import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { formatTitle } from '../formats/registry.ts'
import { TRANSFER_SCHEMA_VERSION, type Transfer, type TransferMap } from '../report/transfer.ts'
import { printExpression } from '../transfer/expression.ts'
import { fillTargets } from '../transfer/fill.ts'
import type { Ledger } from '../transfer/ledger.ts'
import { planTransfer } from '../transfer/plan-transfer.ts'
import { proveTransfer } from '../transfer/prove.ts'
import type { Output } from '../writers/output.ts'
import { planOutput } from '../writers/plan-output.ts'
import { type CompareOptions, compare } from './compare.ts'
import { readModel } from './open-model.ts'
import { readTransferMap } from './read-transfer-map.ts'
import { transferReport } from './transfer-report.ts'

/** What a transfer may be told, and where its result goes. */
export interface TransferTaskOptions {
  /** path of the output; its ending says what is written: a copy of the target, `.safetensors` or `.npz` */
  readonly out?: string
  /**
   * Puts the output and its mapping file where they belong and opens what was written.
   * Without it nothing is written and nothing compared: a dry run.
   */
  readonly save?: (output: Output, map: TransferMap) => Promise<SavedOutput>
  /** a mapping file with a person's entries */
  readonly map?: ModelInput
  /** of BatchNorms whose file states none */
  readonly epsilon?: number
  /** height and width change places in every kernel */
  readonly swapsHeightAndWidth?: boolean
  readonly compare?: Pick<CompareOptions, 'inputs' | 'seed' | 'decodeImage'>
  readonly onStage?: (stage: string) => void
}

/** What lies on disk after saving. */
export interface SavedOutput {
  /** the main file first */
  readonly files: readonly string[]
  readonly map: string | null
  readonly input: ModelInput
}

/**
 * Carries the weights of one model into the layout of another, whatever their formats, and compares the result.
 *
 * @param source whose weights are carried
 * @param target gives names, types, shapes and the graph; its own values are not looked at
 * @returns the ledger of both models with the verdict
 * @throws {FormatError} when a file cannot be read
 * @throws {ToolError} INVALID_MAP, NOT_WRITABLE, and what `save` throws
 */
export async function transfer(
  source: ModelInput,
  target: ModelInput,
  options: TransferTaskOptions = {},
): Promise<Transfer> {
  const stage = options.onStage ?? (() => {})
  stage('reading both models')
  const [from, to] = [await readModel(source), await readModel(target)]
  const edits = options.map === undefined ? [] : (await readTransferMap(options.map)).entries
  stage('finding what corresponds')
  const assumptions = {
    ...(options.epsilon === undefined ? {} : { epsilon: options.epsilon }),
    swapsHeightAndWidth: options.swapsHeightAndWidth ?? false,
  }
  const ledger = await planTransfer(from, to, assumptions, edits).catch((error) => {
    const isMap = options.map !== undefined && error instanceof ToolError && error.code === 'INVALID_MAP'
    throw isMap ? new ToolError('INVALID_MAP', `${options.map!.path}: ${error.message}`, { cause: error }) : error
  })
  const sides = {
    source: { path: source.path, format: from.format, title: formatTitle(from.format), tensors: from.tensors.length },
    target: { path: target.path, format: to.format, title: formatTitle(to.format), tensors: to.tensors.length },
  }
  if (options.save === undefined || options.out === undefined) return transferReport(ledger, sides, undefined)
  stage('writing')
  const output = await planOutput({
    target: to,
    input: target,
    filled: fillTargets(ledger.targets),
    out: options.out,
    limits: DEFAULT_LIMITS,
  })
  const saved = await options.save(output, mapOf(ledger, source.path, target.path))
  stage('reading back what was written')
  const proof = await proveTransfer(ledger.targets, await readModel(saved.input))
  stage('comparing the result with the source')
  const comparison = await compare(source, saved.input, { ...options.compare, onStage: stage })
  const written = { format: output.format, files: [...saved.files], map: saved.map }
  return transferReport(ledger, sides, { written, proof, comparison })
}

/** The mapping file: what was found, for a person to edit. */
function mapOf(ledger: Ledger, source: string, target: string): TransferMap {
  return {
    schemaVersion: TRANSFER_SCHEMA_VERSION,
    kind: 'modelwright-transfer-map',
    source,
    target,
    entries: ledger.targets.map((entry) => ({
      target: entry.target.name,
      from: entry.from.map(({ name }) => name),
      transform: entry.expression ? printExpression(entry.expression) : null,
      state: entry.state,
      reason: entry.reason,
      foundBy: entry.foundBy,
      confidence: entry.confidence,
      ...(entry.candidates.length > 0 ? { candidates: [...entry.candidates] } : {}),
      ...(entry.proposal ? { proposal: printExpression(entry.proposal) } : {}),
    })),
  }
}
