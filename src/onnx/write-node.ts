import { Message } from './message.ts'
import type { AttributeEdit, FragmentNode, OnnxProgram } from './program.ts'
import { wireFields } from './wire-fields.ts'
import { tensorMessage } from './write-tensor.ts'

/** NodeProto fields. @source onnx.proto */
const INPUT = 1
const OUTPUT = 2
const NAME = 3
const OP_TYPE = 4
const ATTRIBUTE = 5
const DOMAIN = 7

/** AttributeProto.name */
const ATTRIBUTE_NAME = 1

/** A node of a fragment as NodeProto. What is not changed is copied as the file holds it. */
export async function nodeMessage(program: OnnxProgram, node: FragmentNode): Promise<Message> {
  const message = new Message()
  const edits = Object.entries(node.attributes ?? {})
  if ('from' in node) {
    const replaced = new Set(edits.map(([name]) => name))
    for (const field of wireFields(await program.encoded(node.from))) {
      if (field.id === INPUT && node.inputs) continue
      if (field.id === NAME && node.name) continue
      if (field.id === OUTPUT && node.outputs) continue
      if (field.id === ATTRIBUTE && field.payload && replaced.has(attributeName(field.payload))) continue
      message.raw(field.encoded)
    }
    for (const name of node.inputs ?? []) message.text(INPUT, name)
    for (const name of node.outputs ?? []) message.text(OUTPUT, name)
    if (node.name) message.text(NAME, node.name)
  } else {
    for (const name of node.inputs) message.text(INPUT, name)
    for (const name of node.outputs) message.text(OUTPUT, name)
    if (node.name) message.text(NAME, node.name)
    message.text(OP_TYPE, node.op)
    if (node.domain && node.domain !== 'ai.onnx') message.text(DOMAIN, node.domain)
  }
  for (const [name, edit] of edits) if (edit !== null) message.message(ATTRIBUTE, attributeMessage(name, edit))
  return message
}

function attributeName(attribute: Uint8Array): string {
  for (const { id, payload } of wireFields(attribute))
    if (id === ATTRIBUTE_NAME && payload) return new TextDecoder().decode(payload)
  return ''
}

/** AttributeProto: fields f = 2, i = 3, s = 4, t = 5, floats = 7, ints = 8; type = 20. */
function attributeMessage(name: string, edit: Exclude<AttributeEdit, null>): Message {
  const message = new Message().text(ATTRIBUTE_NAME, name)
  const ofType = (type: number) => message.varint(20, type)
  if ('float' in edit) return ofType(1).float(2, edit.float)
  if ('int' in edit) return ofType(2).varint(3, edit.int)
  if ('string' in edit) return ofType(3).text(4, edit.string)
  if ('tensor' in edit) return ofType(4).message(5, tensorMessage('', edit.tensor))
  if ('floats' in edit) {
    ofType(6)
    for (const value of edit.floats) message.float(7, value)
    return message
  }
  ofType(7)
  for (const value of edit.ints) message.varint(8, value)
  return message
}
