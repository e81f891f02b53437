/**
 * ncnn's built-in layer types in the order of their numbers, which is what the binary `.param.bin` stores.
 * @source https://github.com/Tencent/ncnn/blob/master/src/CMakeLists.txt (order of registration)
 */
export const LAYER_TYPES: readonly string[] = `
AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout
Eltwise ELU Embed Exp Flatten InnerProduct Input Log LRN MemoryData
MVN Pooling Power PReLU Proposal Reduction ReLU Reshape ROIPooling Scale
Sigmoid Slice Softmax Split SPP TanH Threshold Tile RNN LSTM
BinaryOp UnaryOp ConvolutionDepthWise Padding Squeeze ExpandDims Normalize Permute PriorBox DetectionOutput
Interp DeconvolutionDepthWise ShuffleChannel InstanceNorm Clip Reorg YoloDetectionOutput Quantize Dequantize
Yolov3DetectionOutput PSROIPooling ROIAlign Packing Requantize Cast HardSigmoid SELU HardSwish Noop
PixelShuffle DeepCopy Mish StatisticsPooling Swish Gemm GroupNorm LayerNorm Softplus GRU
MultiHeadAttention GELU Convolution1D Pooling1D ConvolutionDepthWise1D Convolution3D ConvolutionDepthWise3D Pooling3D
MatMul Deconvolution1D DeconvolutionDepthWise1D Deconvolution3D DeconvolutionDepthWise3D Einsum DeformableConv2D GLU
Fold Unfold GridSample CumulativeSum CopyTo Erf Diag CELU Shrink RMSNorm Spectrogram InverseSpectrogram Flip SDPA
RotaryEmbed
`
  .trim()
  .split(/\s+/)

/** Types of which ncnn itself knows no weights. */
export function hasNoWeights(type: string): boolean {
  return KNOWN.has(type) && !WITH_WEIGHTS.has(type)
}

const WITH_WEIGHTS = new Set(
  `BatchNorm Bias Convolution Deconvolution Embed InnerProduct MemoryData PReLU Scale RNN LSTM GRU ConvolutionDepthWise
  Padding Normalize DeconvolutionDepthWise InstanceNorm Quantize Dequantize Requantize Gemm GroupNorm LayerNorm RMSNorm
  MultiHeadAttention Convolution1D ConvolutionDepthWise1D Convolution3D ConvolutionDepthWise3D Deconvolution1D
  DeconvolutionDepthWise1D Deconvolution3D DeconvolutionDepthWise3D DeformableConv2D`.split(/\s+/),
)
/** `SSDPriorBox`-like names of forks are not here: whether they hold weights cannot be known */
const KNOWN = new Set(LAYER_TYPES)
