import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import {
  allText,
  findMessage,
  findText,
  numberOf,
  parseTextProto,
  type TextMessage,
  type TextValue,
  textMessages,
  textOf,
} from '../../encoding/text-proto.ts'
import { FormatError } from '../../errors.ts'
import type { AttributeValue } from '../../model/graph.ts'
import { layerType } from './layer-types.ts'
import { type CaffeLayer, type CaffeNet, flattenAttributes, inputShapes, STRUCTURAL, type StateRule } from './net.ts'

/**
 * A network in text form.
 * @throws {FormatError} as `parseTextProto`; a placeholder where a value belongs is named as such
 * @source https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto (NetParameter)
 */
export async function readPrototxt(source: ByteSource, limits: Limits): Promise<CaffeNet> {
  if (source.size > limits.maxStringBytes) {
    const expected = `at most ${limits.maxStringBytes} bytes`
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: source.name,
      what: 'prototxt',
      expected,
      found: `${source.size}`,
    })
  }
  const bytes = await source.read(0, source.size)
  const document = parse(source.name, bytes, limits)
  const [current, old] = [textMessages(document, 'layer'), textMessages(document, 'layers')]
  const layers = current.length > 0 ? current : old
  const name = textOf(findText(document, 'name'))
  return {
    ...(name === undefined ? {} : { name }),
    inputs: inputShapes(
      allText(document, 'input').map((value) => textOf(value) ?? ''),
      textMessages(document, 'input_shape').map((shape) => numbersOf(source.name, shape, 'dim')),
      numbersOf(source.name, document, 'input_dim'),
    ),
    layers: layers.map((layer, index) => layerOfText(source.name, layer, index)),
    version: current.length > 0 ? 'V2' : old.some((layer) => findMessage(layer, 'layer')) ? 'V0' : 'V1',
  }
}

/** `$SCALE`, `${SCALE}`, `{{ scale }}`, `@scale@`, `%(scale)s`: what templates of prototxt files hold. */
const PLACEHOLDER = /^(?:\$\{?\w+\}?|\{\{[^}]{1,60}\}\}|@\w+@|%\(\w+\)[sdf])/

function parse(file: string, bytes: Uint8Array, limits: Limits): TextMessage {
  try {
    return parseTextProto(file, bytes, limits)
  } catch (error) {
    if (!(error instanceof FormatError) || error.byteOffset === undefined) throw error
    const at = new TextDecoder('latin1').decode(bytes.subarray(error.byteOffset, error.byteOffset + 80))
    const placeholder = PLACEHOLDER.exec(at)?.[0]
    if (placeholder === undefined) throw error
    const line = new TextDecoder('latin1').decode(bytes.subarray(0, error.byteOffset)).split('\n').length
    throw new FormatError({
      code: 'INVALID_FIELD',
      file,
      what: `value on line ${line}`,
      byteOffset: error.byteOffset,
      expected: 'a value',
      found: `the placeholder ${placeholder}`,
      hint: 'This is a template: fill it with the script that it came with, then open the result.',
      cause: error,
    })
  }
}

function numbersOf(file: string, message: TextMessage, name: string): number[] {
  return message.fields.flatMap((field) => {
    if (field.name !== name) return []
    const value = numberOf(field.value)
    if (value !== undefined && Number.isSafeInteger(value)) return [value]
    throw new FormatError({
      code: 'INVALID_FIELD',
      file,
      what: `field "${name}"`,
      byteOffset: field.byteOffset,
      expected: 'a whole number',
      found: textOf(field.value) ?? 'a message',
    })
  })
}

function layerOfText(file: string, outer: TextMessage, index: number): CaffeLayer {
  const inner = findMessage(outer, 'layer') ?? outer
  const texts = (name: string) => allText(outer, name).map((value) => textOf(value) ?? '')
  const type = textOf(findText(inner, 'type'))
  const attributes = new Map<string, AttributeValue>()
  for (const [name, values] of grouped(inner)) {
    if (!STRUCTURAL.has(name)) attributes.set(name, attributeOf(name, values))
  }
  return {
    name: textOf(findText(inner, 'name')) ?? textOf(findText(outer, 'name')) ?? `layer ${index}`,
    type: layerType(type !== undefined && /^\d+$/.test(type) ? Number(type) : type),
    bottoms: texts('bottom'),
    tops: texts('top'),
    attributes: flattenAttributes(attributes),
    include: textMessages(outer, 'include').map((rule) => ruleOfText(file, rule)),
    exclude: textMessages(outer, 'exclude').map((rule) => ruleOfText(file, rule)),
    blobs: [],
  }
}

function grouped(message: TextMessage): Map<string, TextValue[]> {
  const groups = new Map<string, TextValue[]>()
  for (const { name, value } of message.fields) {
    const group = groups.get(name)
    if (group) group.push(value)
    else groups.set(name, [value])
  }
  return groups
}

function attributeOf(name: string, values: readonly TextValue[]): AttributeValue {
  if (values.length !== 1) return values.map((value) => attributeOf(name, [value]))
  const [value] = values as [TextValue]
  if (value.kind === 'message')
    return Object.fromEntries([...grouped(value.message)].map(([key, inner]) => [key, attributeOf(key, inner)]))
  if (value.kind === 'string') return textOf(value)!
  if (value.kind === 'number') return numberOf(value)!
  // `phase: TRAIN` and `pool: MAX` are names, `bias_term: false` is not
  return value.text === 'true' ? true : value.text === 'false' ? false : (numberOf(value) ?? value.text)
}

function ruleOfText(file: string, rule: TextMessage): StateRule {
  const phase = textOf(findText(rule, 'phase'))
  const [minLevel] = numbersOf(file, rule, 'min_level')
  const [maxLevel] = numbersOf(file, rule, 'max_level')
  const texts = (name: string) => allText(rule, name).map((value) => textOf(value) ?? '')
  return {
    ...(phase === undefined ? {} : { phase: phase === 'TRAIN' || phase === '0' ? 'TRAIN' : 'TEST' }),
    ...(minLevel === undefined ? {} : { minLevel }),
    ...(maxLevel === undefined ? {} : { maxLevel }),
    stages: texts('stage'),
    notStages: texts('not_stage'),
  }
}
