import { expect, test } from 'vitest'
import { parseSettings } from './parse-settings.ts'

const text = `# the port to Keras
compare:
  expected:
    - where: "*.bn?"
      what: bn-epsilon
      values: [1.0e-5, 1e-3]
      reason: Keras' default, trained with it
    - where: [head.weight, head.bias]
      what: shape
      values: [1000, 20]
      reason: our classes
  outputs:
    logits: scores
`

test('a file as it is meant', () => {
  expect(parseSettings(text, 'modelwright.yaml')).toEqual({
    expected: [
      { where: ['*.bn?'], what: 'bn-epsilon', values: [1e-5, 1e-3], reason: "Keras' default, trained with it" },
      { where: ['head.weight', 'head.bias'], what: 'shape', values: [1000, 20], reason: 'our classes' },
    ],
    outputs: { logits: 'scores' },
  })
  expect(parseSettings('', 'modelwright.yaml')).toEqual({ expected: [], outputs: {} })
})

const refused = (name: string, wrong: string, message: string) =>
  test(`refused: ${name}`, () => expect(() => parseSettings(wrong, 'my.yaml')).toThrow(message))

refused(
  'a slip in a label',
  text.replace('bn-epsilon', 'bn_epsilon'),
  'my.yaml: line 5, column 13: compare.expected.0.what: expected one of new, removed, replaced, shape or a cause of docs/causes.md, found "bn_epsilon". Is it bn-epsilon?',
)
refused(
  'a key that we do not know',
  text.replace('  outputs', '  output'),
  'my.yaml: line 12, column 3: compare.output: expected no such key',
)
refused(
  'no reason',
  text.replace(/ {6}reason: our classes\n/, ''),
  'line 8, column 7: compare.expected.1.reason: expected a string, found nothing',
)
refused('one value', text.replace('[1000, 20]', '[1000]'), 'compare.expected.1.values')
refused('not YAML', 'compare: [', 'my.yaml: line 1, column 11')
refused('the same key twice', 'compare: {}\ncompare: {}\n', 'line 2, column 1: Map keys must be unique')
refused('aliases', 'compare: &a\n  expected: *a\n', 'my.yaml: line')
refused('a tag', 'compare: !!js/function "x"\n', 'my.yaml: line 1, column 10')
refused('deep brackets', '['.repeat(200_000), 'expected at most 16 levels')
refused('deep dashes', `${'- '.repeat(5000)}a`, 'expected at most 16 levels')
refused(
  'deep indentation',
  Array.from({ length: 500 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
  'expected at most 16 levels',
)
refused('a list', '- 1\n', 'line 1, column 1: expected a mapping')
