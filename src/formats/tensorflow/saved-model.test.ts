import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { describeConformance, readAll, type Sample } from '../../../test/conformance.ts'
import { readFixtures } from '../../../test/read-folder.ts'
import type { AttributeValue } from '../../model/graph.ts'
import { tfSavedModel } from './saved-model.ts'

const served: Sample = { files: readFixtures('saved-model/served'), main: 'saved_model.pb' }
const plain: Sample = { files: readFixtures('saved-model/no-variables'), main: 'saved_model.pb' }
const tf1: Sample = { files: readFixtures('saved-model/tf1'), main: 'saved_model.pb' }

describe('conformance', () => {
  describeConformance(
    tfSavedModel,
    { 'TensorFlow 1': tf1, 'without variables': plain },
    { cuts: 1200, mayReadCut: 'a message may end between two fields: the object graph and assets come last' },
  )
  describeConformance(tfSavedModel, { 'with variables': served }, { cuts: 300, flips: 150, mayReadCut: 'as above' })
})

test('a cut SavedModel is refused as long as the outer message is cut', async () => {
  const bytes = plain.files['saved_model.pb']!
  for (const length of [3, 100, bytes.length - 1]) {
    const files = { ...plain.files, 'saved_model.pb': bytes.subarray(0, length) }
    await expect(readAll(tfSavedModel, { ...plain, files })).rejects.toThrow('before the end of the file')
  }
})

test('signatures, versions and assets', async () => {
  const { model } = await readAll(tfSavedModel, { files: served.files })
  expect(model.metadata).toMatchObject({
    framework: 'tensorflow',
    frameworkVersion: '2.21.0',
    properties: {
      tags: ['serve'],
      signatures: {
        serving_default: { inputs: { x: { dtype: 'float32' } }, outputs: { scores: { dtype: 'float32' } } },
      },
      variableNames: { 'w/.ATTRIBUTES/VARIABLE_VALUE': 'w' },
    },
  })
  expect(model.graphs[0]?.kind).toBe('main')
  expect(model.graphs[0]?.inputs.map(({ name }) => name)).toEqual(['serving_default_x'])
  expect(model.graphs.slice(1).every(({ kind }) => kind === 'function')).toBe(true)
})

test('a variable node knows its stored tensor, and so do the functions that it is passed to', async () => {
  const { model } = await readAll(tfSavedModel, served)
  const bound = model.graphs.flatMap(({ kind, nodes }) =>
    nodes.flatMap(({ op, parameters }) => parameters?.map(({ tensor }) => `${kind} ${op} ${tensor}`) ?? []),
  )
  expect(new Set(bound)).toEqual(
    new Set(['main VarHandleOp w/.ATTRIBUTES/VARIABLE_VALUE', 'function ReadVariableOp w/.ATTRIBUTES/VARIABLE_VALUE']),
  )
})

test('without the variables folder the graph still reads, with a warning', async () => {
  const files = { 'saved_model.pb': served.files['saved_model.pb']! }
  const { model } = await readAll(tfSavedModel, { files, main: 'saved_model.pb' })
  expect(model.tensors).toEqual([])
  expect(model.graphs.length).toBeGreaterThan(1)
  expect(model.warnings.map(({ code, message }) => `${code}: ${message}`)).toEqual([
    'VARIABLES_MISSING: there is no variables/variables.index: the values of 1 variables are not there',
  ])
})

interface Fact {
  name: string
  dtype: string
  shape: number[]
  values?: string[]
}

describe('small constants are attributes of their nodes, none is lost', () => {
  const oracle = JSON.parse(readFileSync(resolve('test/fixtures/frameworks/oracle.json'), 'utf8')) as {
    files: { file: string; facts: { constants?: Fact[]; innerTensors?: Fact[] } }[]
  }
  test.each([
    ['saved-model/served', served],
    ['saved-model/no-variables', plain],
    ['saved-model/tf1', tf1],
  ] as const)('%s', async (file, sample) => {
    const { facts } = oracle.files.find((entry) => entry.file === file)!
    const { model } = await readAll(tfSavedModel, sample)
    const found = new Map<string, AttributeValue>()
    for (const { name, kind, nodes } of model.graphs) {
      for (const node of nodes)
        if (node.op === 'Const') found.set(kind === 'main' ? node.name : `${name}/${node.name}`, node.attributes.value!)
    }
    const expected = [...(facts.constants ?? []), ...(facts.innerTensors ?? [])]
    expect(expected.length).toBeGreaterThan(0)
    for (const { name, dtype, shape, values } of expected) {
      expect(found.get(name), name).toMatchObject({ dtype, shape })
      if (values?.every((text) => /^[\x20-\x7e]*$/.test(text))) expect(found.get(name), name).toMatchObject({ values })
    }
  })
})
