import type { JsonValue } from '../encoding/json-value.ts'
import { isObject, type JsonObject } from './keras-calls.ts'

/** Code that loading a Keras model would run, or look up in the user's program. */
export interface KerasCode {
  /** `Lambda layer "scale"`, or `package.module.Class` as the configuration names it */
  readonly name: string
  /** `dangerous`: marshalled Python bytecode inside the file; `unknown`: a class or function from outside Keras */
  readonly kind: 'unknown' | 'dangerous'
  readonly count: number
  /** text of the configuration by which it can be found in the file */
  readonly needle: string
}

/** Packages whose classes Keras itself resolves. */
const OWN_MODULE = /^(keras|tf_keras|tensorflow|builtins|tensorflow\.python\.keras|tf\.keras)(\.|$)/

/**
 * Everything in a Keras configuration that is not Keras' own: Lambda layers with bytecode (Keras 2 stores it as
 * base64 text, Keras 3 as `__lambda__`), functions by name, custom classes by module or registered package.
 * The bytecode is neither decoded nor run.
 *
 * @param config JSON of bounded depth
 * @source keras/src/saving/serialization_lib.py; keras/src/legacy/saving/serialization.py
 */
export function findKerasCode(config: JsonValue): readonly KerasCode[] {
  const found = new Map<string, KerasCode>()
  const add = (name: string, kind: KerasCode['kind'], needle: string) => {
    const known = found.get(name)
    found.set(name, { name, kind, needle, count: (known?.count ?? 0) + 1 })
  }
  const walk = (value: JsonValue): void => {
    if (Array.isArray(value)) (value as readonly JsonValue[]).forEach(walk)
    if (!isObject(value)) return
    judge(value, add)
    // A Lambda layer's own function has just been counted.
    const inner = value.class_name === 'Lambda' && isObject(value.config) ? { ...value.config, function: null } : value
    Object.values(inner).forEach(walk)
  }
  walk(config)
  return [...found.values()]
}

function judge(part: JsonObject, add: (name: string, kind: KerasCode['kind'], needle: string) => void): void {
  const { class_name: className, module, registered_name: registered, config } = part
  if (typeof className !== 'string') return
  if (className === 'Lambda' && isObject(config)) {
    const label = `Lambda layer "${typeof config.name === 'string' ? config.name : 'unnamed'}"`
    const code = config.function
    const bytecode = Array.isArray(code) || (isObject(code) && code.class_name === '__lambda__')
    if (bytecode) add(label, 'dangerous', className)
    else if (typeof code === 'string') add(`function ${code}`, 'unknown', code)
  } else if (className === '__lambda__') {
    add('__lambda__', 'dangerous', className)
  } else if (className === 'function' && typeof config === 'string') {
    const name = typeof module === 'string' && module !== 'builtins' ? `${module}.${config}` : config
    if (typeof module !== 'string' || !OWN_MODULE.test(module)) add(name, 'unknown', config)
  } else if (typeof registered === 'string' && registered.includes('>')) {
    add(registered, 'unknown', registered)
  } else if (typeof module === 'string' && !OWN_MODULE.test(module)) {
    add(`${module}.${className}`, 'unknown', className)
  } else if (module === null && typeof registered === 'string') {
    // a class of the program's main module
    add(className, 'unknown', className)
  }
}
