/**
 * Layer types of the second version by the number that the first version stores, as Caffe's own upgrade maps them.
 * @source https://github.com/BVLC/caffe/blob/master/src/caffe/util/upgrade_proto.cpp (UpgradeV1LayerType)
 */
export const V1_TYPES: ReadonlyMap<number, { readonly text: string; readonly type: string }> = new Map([
  [1, { text: 'ACCURACY', type: 'Accuracy' }],
  [2, { text: 'BNLL', type: 'BNLL' }],
  [3, { text: 'CONCAT', type: 'Concat' }],
  [4, { text: 'CONVOLUTION', type: 'Convolution' }],
  [5, { text: 'DATA', type: 'Data' }],
  [6, { text: 'DROPOUT', type: 'Dropout' }],
  [7, { text: 'EUCLIDEAN_LOSS', type: 'EuclideanLoss' }],
  [8, { text: 'FLATTEN', type: 'Flatten' }],
  [9, { text: 'HDF5_DATA', type: 'HDF5Data' }],
  [10, { text: 'HDF5_OUTPUT', type: 'HDF5Output' }],
  [11, { text: 'IM2COL', type: 'Im2col' }],
  [12, { text: 'IMAGE_DATA', type: 'ImageData' }],
  [13, { text: 'INFOGAIN_LOSS', type: 'InfogainLoss' }],
  [14, { text: 'INNER_PRODUCT', type: 'InnerProduct' }],
  [15, { text: 'LRN', type: 'LRN' }],
  [16, { text: 'MULTINOMIAL_LOGISTIC_LOSS', type: 'MultinomialLogisticLoss' }],
  [17, { text: 'POOLING', type: 'Pooling' }],
  [18, { text: 'RELU', type: 'ReLU' }],
  [19, { text: 'SIGMOID', type: 'Sigmoid' }],
  [20, { text: 'SOFTMAX', type: 'Softmax' }],
  [21, { text: 'SOFTMAX_LOSS', type: 'SoftmaxWithLoss' }],
  [22, { text: 'SPLIT', type: 'Split' }],
  [23, { text: 'TANH', type: 'TanH' }],
  [24, { text: 'WINDOW_DATA', type: 'WindowData' }],
  [25, { text: 'ELTWISE', type: 'Eltwise' }],
  [26, { text: 'POWER', type: 'Power' }],
  [27, { text: 'SIGMOID_CROSS_ENTROPY_LOSS', type: 'SigmoidCrossEntropyLoss' }],
  [28, { text: 'HINGE_LOSS', type: 'HingeLoss' }],
  [29, { text: 'MEMORY_DATA', type: 'MemoryData' }],
  [30, { text: 'ARGMAX', type: 'ArgMax' }],
  [31, { text: 'THRESHOLD', type: 'Threshold' }],
  [32, { text: 'DUMMY_DATA', type: 'DummyData' }],
  [33, { text: 'SLICE', type: 'Slice' }],
  [34, { text: 'MVN', type: 'MVN' }],
  [35, { text: 'ABSVAL', type: 'AbsVal' }],
  [36, { text: 'SILENCE', type: 'Silence' }],
  [37, { text: 'CONTRASTIVE_LOSS', type: 'ContrastiveLoss' }],
  [38, { text: 'EXP', type: 'Exp' }],
  [39, { text: 'DECONVOLUTION', type: 'Deconvolution' }],
])

const BY_TEXT = new Map([...V1_TYPES.values()].map(({ text, type }) => [text, type]))

/** Types of the oldest form (a layer within `layers`), in lower case. */
const V0_TYPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    conv: 'Convolution',
    pool: 'Pooling',
    relu: 'ReLU',
    innerproduct: 'InnerProduct',
    softmax: 'Softmax',
    softmax_loss: 'SoftmaxWithLoss',
    lrn: 'LRN',
    dropout: 'Dropout',
    data: 'Data',
    images: 'ImageData',
    concat: 'Concat',
    flatten: 'Flatten',
    split: 'Split',
    sigmoid: 'Sigmoid',
    tanh: 'TanH',
    bnll: 'BNLL',
    accuracy: 'Accuracy',
    im2col: 'Im2col',
    euclidean_loss: 'EuclideanLoss',
    hdf5_data: 'HDF5Data',
    padding: 'Padding',
  }),
)

/** One spelling for all versions of the format; an unknown type stays as it is. */
export function layerType(stored: string | number | undefined): string {
  if (stored === undefined) return 'NONE'
  if (typeof stored === 'number') return V1_TYPES.get(stored)?.type ?? `V1 type ${stored}`
  return BY_TEXT.get(stored) ?? V0_TYPES.get(stored) ?? stored
}
