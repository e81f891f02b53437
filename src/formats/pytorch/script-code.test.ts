import { expect, test } from 'vitest'
import type { CodeListing } from '../../model/model.ts'
import { readScriptClasses } from './script-code.ts'

const listing = (name: string, text: string): CodeListing => ({ name, bytes: text.length, read: async () => text })

test('a scripted class states its options as constants', async () => {
  const code = `class Conv2d(Module):
  weight : Tensor
  stride : Final[Tuple[int, int]] = (2, 1)
  padding_mode : Final[str] = "zeros"
  eps : Final[float] = 1.0000000000000001e-05
  affine : Final[bool] = True
  strange : Final[Foo] = bar(1)
  def forward(self, x: Tensor) -> Tensor:
    return torch.conv2d(x, x, None, [9, 9], [9, 9], [9, 9], 9)
`
  const classes = await readScriptClasses([listing('code/__torch__/torch/nn/___torch_mangle_3.py', code)])
  expect([...classes]).toEqual([
    [
      '__torch__.torch.nn.___torch_mangle_3.Conv2d',
      { stride: [2, 1], padding: [9, 9], dilation: [9, 9], groups: 9, padding_mode: 'zeros', eps: 1e-5, affine: true },
    ],
  ])
})

test.each([
  [
    'torch._convolution(x, weight, bias, [2, 2], [1, 1], [1, 1], False, [0, 0], 4, False, False, True, True)',
    { stride: [2, 2], padding: [1, 1], dilation: [1, 1], transposed: false, output_padding: [0, 0], groups: 4 },
  ],
  [
    'torch.batch_norm(x, weight, bias, running_mean, running_var, False, 0.1, 0.001, True)',
    { momentum: 0.1, eps: 0.001 },
  ],
  ['torch.layer_norm(x, [64], weight, bias, 1e-06)', { eps: 1e-6 }],
])('a traced class states them in its call: %s', async (call, expected) => {
  const classes = await readScriptClasses([
    listing(
      'code/__torch__/m.py',
      `class A(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    _0 = ${call}\n    return _0\n`,
    ),
  ])
  expect(classes.get('__torch__.m.A')).toEqual(expected)
})

test('a class that calls two layers states nothing, nor does code that is not TorchScript', async () => {
  const twice =
    'class A(Module):\n  a = torch.layer_norm(x, [4], w, b, 0.1)\n  b = torch.layer_norm(x, [4], w, b, 0.2)\n'
  const classes = await readScriptClasses([
    listing('code/__torch__/m.py', twice),
    listing('other.py', twice.replace('  b', '#')),
  ])
  expect(classes.size).toBe(0)
})
