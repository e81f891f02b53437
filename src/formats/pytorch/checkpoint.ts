import type { JsonValue } from '../../encoding/json-value.ts'
import type { JsonConverter } from '../../encoding/pickle/to-json.ts'
import { asDict, isContainer, type PickleValue } from '../../encoding/pickle/values.ts'
import { keyName } from '../../encoding/pickle/walk.ts'
import type { OptimizerState, TrainingState } from '../../model/model.ts'
import { define, isModule, isScriptObject } from './modules.ts'
import { optimizerDict, readOptimizer } from './optimizer.ts'

/** What is in a checkpoint beside its tensors. */
export interface CheckpointFacts {
  readonly training?: TrainingState
  /** settings that have no place elsewhere, under their own keys */
  readonly properties: Readonly<Record<string, JsonValue>>
  /** architecture, where the checkpoint names it */
  readonly name?: string
}

/** Keys under which programs save things; matched on the whole key, in lower case. */
const EPOCH = /^(epoch|epochs_done|last_epoch|current_epoch|cur_epoch|epoch_num)$/
const STEP = /^(step|steps|global_step|iter|iters|iteration|iterations|it|num_updates|n_iter|train_step)$/
const SCHEDULER = /sched/
const ARGUMENTS =
  /^(args|arguments|opts?|options|hparams|hyper_parameters|hyper_?params|params|config|cfg|train_args|train_config|model_args|model_config|configs?|settings)$/
const METRICS =
  /(^|_)(acc\w*|loss\w*|best\w*|metrics?|prec\w*|m?ap\d*|top_?\d|score|fitness|f1|m?iou|psnr|ssim|err\w*|auc|perplexity|bleu)($|_)/
const EMA = /(^|[_.-])(ema|swa|averaged)($|[_.-])/
const OPTIMIZER = /optim/

/** What a key at the top of a checkpoint holds, for the roles of the tensors below it. */
export type Section = 'model' | 'ema' | 'optimizer' | 'other'

/** @param key first part of a tensor's path; `value` what lies under it */
export function sectionOf(key: string, value: PickleValue | undefined): Section {
  const lower = key.toLowerCase()
  if (optimizerDict(value) || OPTIMIZER.test(lower) || SCHEDULER.test(lower)) return 'optimizer'
  if (EMA.test(lower)) return 'ema'
  return /scaler|rng|random|callback|loader|sampler/.test(lower) ? 'other' : 'model'
}

/**
 * Sorts what a checkpoint says beside its tensors: epoch, optimizer, scheduler, command line, metrics; numbers and words
 * that fit nowhere become properties. A dict of tensors only, a module or a list says nothing of that.
 */
export function readCheckpoint(root: PickleValue, json: JsonConverter): CheckpointFacts {
  const dict = asDict(root)
  if (!dict) return { properties: {} }
  json.enter(dict)
  const facts = new Facts()
  let position = 0
  for (const [key, value] of dict.entries) {
    const name = keyName(key, position++)
    facts.add(name, value, json)
    // mmengine and its relatives keep epoch, iteration and configuration one level down
    if (name !== 'meta') continue
    for (const [inner, item] of asDict(value)?.entries ?? []) facts.add(keyName(inner, 0), item, json, true)
  }
  const versions = json.convert(dict.state)
  if (isRecord(versions)) facts.versions('', versions)
  return facts.result()
}

class Facts {
  #epoch: number | undefined
  #step: number | undefined
  #optimizer: OptimizerState | undefined
  #name: string | undefined
  readonly #scheduler: Record<string, JsonValue> = {}
  readonly #arguments: Record<string, JsonValue> = {}
  readonly #metrics: Record<string, JsonValue> = {}
  readonly #other: Record<string, JsonValue> = {}
  readonly #properties: Record<string, JsonValue> = {}

  add(name: string, value: PickleValue, json: JsonConverter, isMeta = false): void {
    const key = name.toLowerCase()
    const optimizer = this.#addOptimizers(name, value, json)
    if (optimizer) return
    if (isModule(value) || isScriptObject(value)) return
    const converted = json.convert(value)
    if (converted === undefined || isEmpty(converted)) {
      this.#addVersions(name, value, json)
      return
    }
    if (typeof converted === 'number' && EPOCH.test(key) && this.#epoch === undefined) this.#epoch = converted
    else if (typeof converted === 'number' && STEP.test(key) && this.#step === undefined) this.#step = converted
    else if (SCHEDULER.test(key)) define(this.#scheduler, name, converted)
    else if (ARGUMENTS.test(key)) define(this.#arguments, name, converted)
    else if (key === 'meta' && isRecord(converted)) this.#addMeta(converted)
    else if (METRICS.test(key)) define(this.#metrics, name, converted)
    else if ((key === 'arch' || key === 'architecture') && typeof converted === 'string') this.#name = converted
    else if (typeof converted === 'object' && converted !== null && !isMeta) define(this.#other, name, converted)
    else if (!isMeta) define(this.#properties, name, converted)
    this.#addVersions(name, value, json)
  }

  versions(prefix: string, state: Readonly<Record<string, JsonValue>>): void {
    const metadata = isRecord(state._metadata) ? state._metadata : {}
    const versions: Record<string, JsonValue> = {}
    for (const [path, entry] of Object.entries(metadata)) {
      if (isRecord(entry) && entry.version !== undefined) define(versions, path, entry.version)
    }
    if (Object.keys(versions).length === 0) return
    define(this.#properties, prefix === '' ? 'moduleVersions' : `moduleVersions.${prefix}`, versions)
  }

  result(): CheckpointFacts {
    const training: TrainingState = {
      ...(this.#epoch === undefined ? {} : { epoch: this.#epoch }),
      ...(this.#step === undefined ? {} : { step: this.#step }),
      ...(this.#optimizer ? { optimizer: this.#optimizer } : {}),
      ...optional('scheduler', onlyEntry(this.#scheduler)),
      ...optional('arguments', onlyEntry(this.#arguments)),
      ...optional('metrics', this.#metrics),
      ...optional('other', this.#other),
    }
    return {
      ...(Object.keys(training).length > 0 ? { training } : {}),
      properties: this.#properties,
      ...(this.#name === undefined ? {} : { name: this.#name }),
    }
  }

  /** One optimizer, or a list of them (Lightning); the first is the model's, the others are kept beside. */
  #addOptimizers(name: string, value: PickleValue, json: JsonConverter): boolean {
    const list = isContainer(value) && value.kind === 'list' ? value.items.slice(0, 16) : [value]
    let found = false
    for (const [index, item] of list.entries()) {
      const dict = optimizerDict(item)
      if (!dict) continue
      found = true
      const state = readOptimizer(item, dict, json)
      if (!this.#optimizer) this.#optimizer = state
      else define(this.#other, index === 0 ? name : `${name}[${index}]`, { ...state } as unknown as JsonValue)
    }
    return found
  }

  /** Of mmengine's `meta`: what has a place of its own is taken by `add`; the rest stays together. */
  #addMeta(meta: Readonly<Record<string, JsonValue>>): void {
    const rest = Object.entries(meta).filter(([key]) => {
      const lower = key.toLowerCase()
      return !EPOCH.test(lower) && !STEP.test(lower) && !ARGUMENTS.test(lower) && !METRICS.test(lower)
    })
    if (rest.length > 0) define(this.#other, 'meta', Object.fromEntries(rest))
  }

  #addVersions(name: string, value: PickleValue, json: JsonConverter): void {
    const state = asDict(value)?.state
    const converted = state === undefined ? undefined : json.convert(state)
    if (isRecord(converted)) this.versions(name, converted)
  }
}

/** `{args: {...}}` is the arguments themselves; several such dicts stay under their keys. */
function onlyEntry(entries: Readonly<Record<string, JsonValue>>): Readonly<Record<string, JsonValue>> {
  const values = Object.values(entries)
  return values.length === 1 && isRecord(values[0]) ? values[0] : entries
}

function optional(key: string, value: Readonly<Record<string, JsonValue>>) {
  return Object.keys(value).length > 0 ? { [key]: value } : {}
}

function isRecord(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
