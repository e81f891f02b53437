import { expect, test } from 'vitest'
import type { JsonValue } from '../encoding/json-value.ts'
import type { Layer } from './layer.ts'
import { withModuleSettings } from './module-settings.ts'

const layer: Layer = {
  name: 'block/conv',
  kind: 'conv',
  op: '',
  weights: [],
  attributes: {},
  inputs: [],
  outputs: [],
  inputShapes: [],
  outputShapes: [],
}

const check = (className: string, settings: Record<string, JsonValue>, expected: object) =>
  test(`${className} ${JSON.stringify(settings)}`, () => {
    const properties = {
      modules: { 'block.conv': `torch.nn.modules.x.${className}` },
      moduleSettings: { 'block.conv': settings },
    }
    expect(withModuleSettings([layer], { metadata: { properties } })[0]).toMatchObject({
      op: className,
      attributes: expected,
    })
  })

check(
  'Conv2d',
  { kernel_size: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 2, padding_mode: 'zeros' },
  {
    kernelSize: [3, 3],
    strides: [2, 2],
    padding: { begin: [1, 1], end: [1, 1] },
    groups: 2,
  },
)
check('Conv2d', { kernel_size: [4, 3], dilation: [2, 1], padding: 'same' }, { padding: { begin: [3, 1], end: [3, 1] } })
check('Conv1d', { kernel_size: [4], padding: 'same' }, { padding: { begin: [1], end: [2] } })
check('Conv2d', { kernel_size: [3, 3], padding: 'valid' }, { padding: 'valid' })
check('BatchNorm2d', { eps: 0.001, momentum: 0.1 }, { epsilon: 0.001, momentum: 0.9 })
check('LayerNorm', { eps: 1e-6 }, { epsilon: 1e-6 })

test('another padding than zeros is not stated as zeros', () => {
  const settings = { kernel_size: [3, 3], padding: [1, 1], padding_mode: 'reflect' }
  const [found] = withModuleSettings([layer], {
    metadata: {
      properties: { modules: { 'block.conv': 'torch.nn.Conv2d' }, moduleSettings: { 'block.conv': settings } },
    },
  })
  expect(found?.attributes.padding).toBeUndefined()
})

test('without settings layers stay as they are', () => {
  expect(withModuleSettings([layer], { metadata: {} })).toEqual([layer])
})
