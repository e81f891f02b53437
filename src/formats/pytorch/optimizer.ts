import type { JsonValue } from '../../encoding/json-value.ts'
import type { JsonConverter } from '../../encoding/pickle/to-json.ts'
import {
  asDict,
  asSequence,
  callableName,
  isContainer,
  type PickleDict,
  type PickleValue,
} from '../../encoding/pickle/values.ts'
import type { OptimizerState } from '../../model/model.ts'

/**
 * What gives an optimizer away when its class was not saved: names in its state (`state`) and of its hyperparameters
 * (`options`). All must be there, none of `without`. First match wins, so special cases come first.
 * @source https://github.com/pytorch/pytorch/tree/main/torch/optim (state and defaults of each class)
 */
const SIGNS: readonly {
  name: string
  state?: readonly string[]
  options?: readonly string[]
  without?: readonly string[]
}[] = [
  { name: 'Adamax', state: ['exp_inf'] },
  { name: 'NAdam', state: ['mu_product'] },
  { name: 'NAdam', options: ['momentum_decay'] },
  { name: 'RAdam', options: ['betas', 'decoupled_weight_decay'], without: ['amsgrad'] },
  { name: 'Adadelta', state: ['acc_delta'] },
  { name: 'Adadelta', options: ['rho', 'eps'] },
  { name: 'RMSprop', state: ['square_avg'] },
  { name: 'RMSprop', options: ['alpha', 'centered'] },
  { name: 'ASGD', options: ['lambd', 't0'] },
  { name: 'Rprop', options: ['etas', 'step_sizes'] },
  { name: 'Adagrad', options: ['lr_decay'] },
  { name: 'LBFGS', options: ['history_size'] },
  { name: 'SparseAdam', state: ['exp_avg', 'exp_avg_sq'], without: ['weight_decay', 'amsgrad'] },
  { name: 'Adam', options: ['betas', 'amsgrad'] },
  { name: 'Adam', state: ['exp_avg', 'exp_avg_sq'] },
  { name: 'SGD', options: ['momentum', 'dampening', 'nesterov'] },
  { name: 'SGD', state: ['momentum_buffer'] },
  { name: 'Lion', state: ['exp_avg'], options: ['betas'] },
]

/** The state dict of an optimizer, `{state, param_groups}`, also inside a saved Optimizer object; undefined otherwise. */
export function optimizerDict(value: PickleValue | undefined): PickleDict | undefined {
  if (!isContainer(value)) return undefined
  const dict = value.kind === 'dict' ? value : value.kind === 'object' ? asDict(value.state) : undefined
  return asSequence(dict?.entries.get('param_groups')) ? dict : undefined
}

/**
 * Class and hyperparameters of a saved optimizer; the values of its state are tensors of the model.
 *
 * Adam and AdamW keep the same state: since torch 2.6 `decoupled_weight_decay` tells them apart; before, only a weight
 * decay other than Adam's default of 0 leaves it open.
 */
export function readOptimizer(value: PickleValue, dict: PickleDict, json: JsonConverter): OptimizerState {
  const groups = (asSequence(dict.entries.get('param_groups')) ?? []).slice(0, MAX_GROUPS).map((group) => {
    const entries = asDict(group)?.entries ?? new Map<PickleValue, PickleValue>()
    return json.object([...entries].filter(([key]) => key !== 'params'))
  })
  const name = callableName(value)
  if (name !== undefined) return { name: name.slice(name.lastIndexOf('.') + 1), groups }
  const inferred = inferName(stateNames(dict), groups)
  return inferred === undefined ? { groups } : { name: inferred, inferred: true, groups }
}

/** Networks with a group per layer exist; with more groups than this, each parameter has its own. */
const MAX_GROUPS = 1000

function inferName(
  state: ReadonlySet<string>,
  groups: readonly Readonly<Record<string, JsonValue>>[],
): string | undefined {
  const options = new Set(groups.flatMap((group) => Object.keys(group)))
  const has = (name: string) => state.has(name) || options.has(name)
  const sign = SIGNS.find(
    (candidate) =>
      (candidate.state ?? []).every((name) => state.has(name)) &&
      (candidate.options ?? []).every((name) => options.has(name)) &&
      !(candidate.without ?? []).some(has),
  )
  if (sign?.name !== 'Adam') return sign?.name
  const decoupled = groups.find((group) => 'decoupled_weight_decay' in group)?.decoupled_weight_decay
  if (decoupled === true) return 'AdamW'
  if (decoupled === false || groups.every(({ weight_decay: decay }) => decay === 0)) return 'Adam'
  return 'Adam or AdamW'
}

/** Names in the state of the first few parameters: all have the same. */
function stateNames(dict: PickleDict): Set<string> {
  const names = new Set<string>()
  const perParameter = asDict(dict.entries.get('state'))
  let looked = 0
  for (const state of perParameter?.entries.values() ?? []) {
    if (looked++ >= 16) break
    for (const key of asDict(state)?.entries.keys() ?? []) if (typeof key === 'string') names.add(key)
  }
  return names
}
