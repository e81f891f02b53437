import { activation, type Scalar } from './activations.ts'
import {
  type Call,
  charge,
  findReals,
  findTexts,
  input,
  int,
  type Operator,
  type OperatorTable,
  real,
  text,
} from './call.ts'
import { multiplyMatrices } from './multiply.ts'
import { demand, floats, type Numbers, zeros } from './numbers.ts'
import { transposed } from './shape.ts'

/** What one step computes, from the gates' products with input and state. */
interface Cell {
  readonly gates: number
  /** activations per direction */
  readonly activations: readonly string[]
  readonly hasCell: boolean
  step(context: Step): void
}

/** One sequence at one step. `hidden` and `cell` hold the state and get the new one. */
interface Step {
  readonly size: number
  /** W x + its bias, gate after gate */
  readonly fromInput: Float64Array
  /** R h + its bias */
  readonly fromState: Float64Array
  readonly hidden: Float64Array
  readonly cell: Float64Array
  readonly functions: readonly Scalar[]
  readonly clip: Scalar
  /** peepholes of the input, output and forget gates */
  readonly peepholes: Float64Array | undefined
  readonly coupled: boolean
  readonly resetAfter: boolean
  /** R h of the candidate gate with h replaced by `state`, for reset before the product */
  candidate(state: Float64Array): Float64Array
}

const RNN: Cell = {
  gates: 1,
  activations: ['Tanh'],
  hasCell: false,
  step({ size, fromInput, fromState, hidden, functions: [f], clip }) {
    for (let i = 0; i < size; i++) hidden[i] = f!(clip(fromInput[i]! + fromState[i]!))
  },
}

/** Gates in the order update (z), reset (r), candidate (h). */
const GRU: Cell = {
  gates: 3,
  activations: ['Sigmoid', 'Tanh'],
  hasCell: false,
  step({ size, fromInput, fromState, hidden, functions: [f, g], clip, resetAfter, candidate }) {
    const gate = (index: number, i: number) => f!(clip(fromInput[index * size + i]! + fromState[index * size + i]!))
    const update = Float64Array.from({ length: size }, (_, i) => gate(0, i))
    const reset = Float64Array.from({ length: size }, (_, i) => gate(1, i))
    const before = resetAfter ? undefined : candidate(hidden.map((value, i) => value * reset[i]!))
    for (let i = 0; i < size; i++) {
      const state = before === undefined ? reset[i]! * fromState[2 * size + i]! : before[i]!
      const fresh = g!(clip(fromInput[2 * size + i]! + state))
      hidden[i] = (1 - update[i]!) * fresh + update[i]! * hidden[i]!
    }
  },
}

/** Gates in the order input (i), output (o), forget (f), cell (c). */
const LSTM: Cell = {
  gates: 4,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  hasCell: true,
  step({ size, fromInput, fromState, hidden, cell, functions: [f, g, h], clip, peepholes, coupled }) {
    const sum = (gate: number, i: number) => fromInput[gate * size + i]! + fromState[gate * size + i]!
    const look = (gate: number, i: number, state: number) =>
      peepholes === undefined ? 0 : peepholes[gate * size + i]! * state
    for (let i = 0; i < size; i++) {
      const before = cell[i]!
      const inputGate = f!(clip(sum(0, i) + look(0, i, before)))
      const forget = coupled ? 1 - inputGate : f!(clip(sum(2, i) + look(2, i, before)))
      const state = forget * before + inputGate * g!(clip(sum(3, i)))
      cell[i] = state
      hidden[i] = f!(clip(sum(1, i) + look(1, i, state))) * h!(state)
    }
  },
}

function recurrent(cell: Cell): Operator {
  return (call) => {
    const batchFirst = int(call, 'layout', 0) !== 0
    const turned = (array: Numbers | undefined) =>
      array === undefined || !batchFirst ? array : transposed(array, [1, 0, 2])
    const x = turned(input(call, 0))!
    const [w, r] = [input(call, 1), input(call, 2)]
    const [bias, lengths] = [call.inputs[3], call.inputs[4]]
    demand(x.shape.length === 3 && w.shape.length === 3 && r.shape.length === 3, 'arrays of another rank')
    const [steps, batch, features] = x.shape as [number, number, number]
    const [directions, rows] = w.shape as [number, number, number]
    const size = rows / cell.gates
    const direction = text(call, 'direction', 'forward')
    demand(/^(forward|reverse|bidirectional)$/.test(direction), `direction ${direction}`)
    demand(directions === (direction === 'bidirectional' ? 2 : 1), 'weights for other directions')
    demand(w.shape[2] === features && r.shape[1] === rows && r.shape[2] === size, 'weights of another shape')
    demand(int(call, 'hidden_size', size) === size, 'hidden_size unlike the weights')
    demand(bias === undefined || bias.values.length === directions * 2 * rows, 'bias of another length')
    demand(lengths === undefined || lengths.values.length === batch, 'lengths of other sequences')
    charge(call, directions * steps * batch * rows * (features + size))
    const settings = settingsOf(call, cell, directions)
    const outputs = zeros([steps, directions, batch, size])
    const [hidden, cells] = [5, 6].map((index) => {
      const given = turned(call.inputs[index])?.values
      demand(given === undefined || given.length === directions * batch * size, 'initial state of another shape')
      return given?.slice() ?? zeros([directions, batch, size])
    }) as [Float64Array, Float64Array]

    for (let way = 0; way < directions; way++) {
      const backward = direction === 'reverse' || way === 1
      const own = settings(way)
      const products = zeros([steps * batch, rows])
      const weights = { values: w.values, offset: way * rows * features, rowStep: 1, columnStep: features }
      multiplyMatrices(
        { out: products, outOffset: 0, outStep: rows },
        { rows: steps * batch, inner: features, columns: rows },
        { values: x.values, offset: 0, rowStep: features, columnStep: 1 },
        weights,
      )
      const biases = bias?.values.subarray(way * 2 * rows, (way + 1) * 2 * rows)
      const recurrence = r.values.subarray(way * rows * size, (way + 1) * rows * size)
      for (let item = 0; item < batch; item++) {
        const length = lengths?.values[item] ?? steps
        demand(Number.isInteger(length) && length >= 0 && length <= steps, `a sequence of ${length} steps`)
        const at = (way * batch + item) * size
        const state = hidden.subarray(at, at + size)
        const memory = cells.subarray(at, at + size)
        for (let step = 0; step < length; step++) {
          const time = backward ? length - 1 - step : step
          const start = (time * batch + item) * rows
          const fromInput = products.subarray(start, start + rows)
          if (biases) for (let row = 0; row < rows; row++) fromInput[row] = fromInput[row]! + biases[row]!
          const fromState = product(recurrence, state, 0, rows, size, biases?.subarray(rows))
          cell.step({
            ...own,
            size,
            fromInput,
            fromState,
            hidden: state,
            cell: memory,
            candidate: (other) => product(recurrence, other, 2 * size, size, size, biases?.subarray(rows)),
          })
          outputs.set(state, ((time * directions + way) * batch + item) * size)
        }
      }
    }
    const [y, last, lastCell] = [
      floats([steps, directions, batch, size], outputs),
      floats([directions, batch, size], hidden),
      floats([directions, batch, size], cells),
    ]
    const results = batchFirst
      ? [transposed(y, [2, 0, 1, 3]), transposed(last, [1, 0, 2]), transposed(lastCell, [1, 0, 2])]
      : [y, last, lastCell]
    return cell.hasCell ? results : results.slice(0, 2)
  }
}

/** Rows `first` to `first + count` of a matrix times a vector, plus their biases. */
function product(
  matrix: Float64Array,
  vector: Float64Array,
  first: number,
  count: number,
  size: number,
  biases: Float64Array | undefined,
): Float64Array {
  const out = new Float64Array(count)
  for (let row = 0; row < count; row++) {
    let sum = biases?.[first + row] ?? 0
    for (let column = 0; column < size; column++) sum += matrix[(first + row) * size + column]! * vector[column]!
    out[row] = sum
  }
  return out
}

/** Attributes of each direction. */
function settingsOf(call: Call, cell: Cell, directions: number) {
  const perWay = cell.activations.length
  const names = findTexts(call, 'activations') ?? Array.from({ length: directions }, () => cell.activations).flat()
  demand(names.length === perWay * directions, 'activations for other directions')
  const [alphas, betas] = [findReals(call, 'activation_alpha'), findReals(call, 'activation_beta')]
  // the lists hold values only for activations that take them; without them each has its own
  const functions = activations(names, alphas ?? [], betas ?? [])
  const limit = call.node.attributes.clip === undefined ? Number.POSITIVE_INFINITY : real(call, 'clip', 0)
  const clip: Scalar = (x) => Math.max(-limit, Math.min(limit, x))
  const peepholes = call.inputs[7]?.values
  const size = (peepholes?.length ?? 0) / directions
  demand(peepholes === undefined || size === 3 * (input(call, 2).shape[2] ?? 0), 'peepholes of another length')
  return (way: number) => ({
    functions: functions.slice(way * perWay, (way + 1) * perWay),
    clip,
    peepholes: peepholes?.subarray(way * size, (way + 1) * size),
    coupled: int(call, 'input_forget', 0) !== 0,
    resetAfter: int(call, 'linear_before_reset', 0) !== 0,
  })
}

/** Which activations take alpha, and which beta as well. */
const ALPHA = /^(LeakyRelu|ThresholdedRelu|Elu|HardSigmoid|ScaledTanh|Affine)$/i
const BETA = /^(HardSigmoid|ScaledTanh|Affine)$/i

function activations(names: readonly string[], alphas: readonly number[], betas: readonly number[]): Scalar[] {
  const [alpha, beta] = [alphas.values(), betas.values()]
  return names.map((name) =>
    activation(
      name,
      ALPHA.test(name) ? alpha.next().value : undefined,
      BETA.test(name) ? beta.next().value : undefined,
    ),
  )
}

/** @source https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html, onnx__RNN.html */
export const RECURRENT_OPERATORS: OperatorTable = {
  RNN: recurrent(RNN),
  GRU: recurrent(GRU),
  LSTM: recurrent(LSTM),
}
