import { type ForeignRow, type ForeignView, listNames } from './view.ts'

const UNTRUSTED = 'Nothing of it was run: loading a pickle runs code of its author.'

/**
 * Classes and functions that a pickle names, as far as its head shows: `c module\nname\n` in old protocols, two texts
 * before STACK_GLOBAL in new ones. A look, not a reading: for the name in a message.
 */
export function pickledNames(head: Uint8Array): string[] {
  const found = new Set<string>()
  const ascii = new TextDecoder('latin1').decode(head)
  for (const [, module, name] of ascii.matchAll(/c([A-Za-z_][\w.]{0,80})\n([A-Za-z_][\w.]{0,80})\n/g))
    found.add(`${module}.${name}`)
  for (let at = head.indexOf(SHORT_TEXT); at >= 0; at = head.indexOf(SHORT_TEXT, at + 1)) {
    const module = shortText(head, at)
    const name = module && shortText(head, module.next)
    if (module && name && head[name.next] === STACK_GLOBAL) found.add(`${module.text}.${name.text}`)
  }
  return [...found]
}

const SHORT_TEXT = 0x8c
const MEMOIZE = 0x94
const STACK_GLOBAL = 0x93
const MAX_NAME_LENGTH = 80

/** A dotted name at `at`: opcode, length, text, and usually an opcode that stores it. */
function shortText(head: Uint8Array, at: number): { text: string; next: number } | undefined {
  const length = head[at + 1]
  if (head[at] !== SHORT_TEXT || length === undefined || length > MAX_NAME_LENGTH) return undefined
  const end = at + 2 + length
  const text = new TextDecoder('latin1').decode(head.subarray(at + 2, end))
  if (!/^[A-Za-z_][\w.]*$/.test(text)) return undefined
  return { text, next: head[end] === MEMOIZE ? end + 1 : end }
}

const isPickle = ({ head, tail }: ForeignView) =>
  head[0] === 0x80 &&
  head[1] !== undefined &&
  head[1] >= 1 &&
  head[1] <= 5 &&
  (tail.at(-1) === 0x2e || pickledNames(head).length > 0)
/** Protocol 0 has no header: it begins a tuple, list, dict or global, and ends in a full stop. */
const isTextPickle = ({ head, tail, text }: ForeignView) =>
  text !== undefined &&
  tail.at(-1) === 0x2e &&
  /^(?:\(?[dl]p0?|\(?c[A-Za-z_][\w.]{0,80}\n|ccopy_reg\n)/.test(text) &&
  head.length > 3

const names = ({ head }: ForeignView) => pickledNames(head)
const from = (pattern: RegExp) => (view: ForeignView) =>
  isPickle(view) && names(view).some((name) => pattern.test(name))
const first = (view: ForeignView, pattern: RegExp) => names(view).find((name) => pattern.test(name)) ?? 'unknown'

const SKLEARN = /^sklearn\.|^skl2onnx\./
const BOOSTED = /^(xgboost|lightgbm|catboost)\./
const JOBLIB = /^joblib\.numpy_pickle\./
const THEANO = /^(theano|lasagne|chainer|blocks|pylearn2)\./
const OWN = /^__main__\.|^__mp_main__\./

/** Pickles that no reader of ours takes, by the class that they are about. */
export const PICKLES: readonly ForeignRow[] = [
  {
    when: from(SKLEARN),
    name: (view) => `a scikit-learn model in a pickle (${first(view, SKLEARN)})`,
    hint: `${UNTRUSTED} Where you trust it, convert it with skl2onnx and open the ONNX file.`,
  },
  {
    when: from(BOOSTED),
    name: (view) => `a gradient-boosted model in a pickle (${first(view, BOOSTED)})`,
    hint: `${UNTRUSTED} Trees are not a network: there is nothing to compare here.`,
  },
  {
    when: from(JOBLIB),
    name: 'a joblib dump',
    hint: `${UNTRUSTED} If you trust it, load it in Python and save the arrays with numpy.savez.`,
  },
  {
    when: from(THEANO),
    name: (view) => `a model of Theano, Lasagne, Chainer or a relative in a pickle (${first(view, THEANO)})`,
    hint: `${UNTRUSTED} Where you trust it, load it with that library and save the arrays with numpy.savez.`,
  },
  {
    when: from(/^pandas\./),
    name: 'a pandas object in a pickle',
    hint: `${UNTRUSTED} It is a table, not a model.`,
  },
  {
    when: from(OWN),
    name: (view) => `a pickle of a class of its author's own script (${first(view, OWN)})`,
    hint: `${UNTRUSTED} Ask for the state dict: torch.save(model.state_dict(), "weights.pt").`,
  },
  {
    when: (view) => isPickle(view) || isTextPickle(view),
    name: (view) => {
      const found = names(view)
      const protocol = view.head[0] === 0x80 ? `protocol ${view.head[1]}` : 'protocol 0'
      return `a Python pickle (${protocol}${found.length > 0 ? `; it names ${listNames(found)}` : ''})`
    },
    hint: `${UNTRUSTED} If it holds arrays, load it where you trust it and save them with numpy.savez or torch.save.`,
  },
]
