/**
 * Operator codes and option tables of the TFLite schema, version 3, as data: position is number.
 *
 * @source tensorflow/compiler/mlir/lite/schema/schema.fbs (TensorFlow 2.21)
 */
type OptionType =
  | 'i8'
  | 'u8'
  | 'i32'
  | 'u32'
  | 'i64'
  | 'u64'
  | 'f32'
  | 'bool'
  | 'string'
  | 'u8[]'
  | 'bool[]'
  | 'i32[]'
  | 'u32[]'
  | 'i64[]'
  | 'f32[]'
  | 'padding'
  | 'activation'
  | 'type'
  | 'mirror'

/** Fields of an options table in the order of the schema: type, and the default where it is not zero. */
export type OptionFields = Readonly<Record<string, OptionType | readonly [OptionType, number | boolean]>>

/** `Padding`, `ActivationFunctionType` and `MirrorPadMode`: what a byte stands for. */
export const ENUMS = {
  padding: ['SAME', 'VALID'],
  activation: ['NONE', 'RELU', 'RELU_N1_TO_1', 'RELU6', 'TANH', 'SIGN_BIT'],
  mirror: ['REFLECT', 'SYMMETRIC'],
} as const

/** Union `BuiltinOptions`; number 0 is NONE. */
export const BUILTIN_OPTIONS: readonly (readonly [string, OptionFields])[] = [
  ['NONE', {}],
  [
    'Conv2DOptions',
    {
      padding: 'padding',
      stride_w: 'i32',
      stride_h: 'i32',
      fused_activation_function: 'activation',
      dilation_w_factor: ['i32', 1],
      dilation_h_factor: ['i32', 1],
      quantized_bias_type: 'type',
    },
  ],
  [
    'DepthwiseConv2DOptions',
    {
      padding: 'padding',
      stride_w: 'i32',
      stride_h: 'i32',
      depth_multiplier: 'i32',
      fused_activation_function: 'activation',
      dilation_w_factor: ['i32', 1],
      dilation_h_factor: ['i32', 1],
    },
  ],
  [
    'ConcatEmbeddingsOptions',
    { num_channels: 'i32', num_columns_per_channel: 'i32[]', embedding_dim_per_channel: 'i32[]' },
  ],
  ['LSHProjectionOptions', { type: 'i8' }],
  [
    'Pool2DOptions',
    {
      padding: 'padding',
      stride_w: 'i32',
      stride_h: 'i32',
      filter_width: 'i32',
      filter_height: 'i32',
      fused_activation_function: 'activation',
    },
  ],
  ['SVDFOptions', { rank: 'i32', fused_activation_function: 'activation', asymmetric_quantize_inputs: 'bool' }],
  ['RNNOptions', { fused_activation_function: 'activation', asymmetric_quantize_inputs: 'bool' }],
  [
    'FullyConnectedOptions',
    {
      fused_activation_function: 'activation',
      weights_format: 'i8',
      keep_num_dims: 'bool',
      asymmetric_quantize_inputs: 'bool',
      quantized_bias_type: 'type',
    },
  ],
  ['SoftmaxOptions', { beta: 'f32' }],
  ['ConcatenationOptions', { axis: 'i32', fused_activation_function: 'activation' }],
  ['AddOptions', { fused_activation_function: 'activation', pot_scale_int16: ['bool', true] }],
  ['L2NormOptions', { fused_activation_function: 'activation' }],
  ['LocalResponseNormalizationOptions', { radius: 'i32', bias: 'f32', alpha: 'f32', beta: 'f32' }],
  [
    'LSTMOptions',
    {
      fused_activation_function: 'activation',
      cell_clip: 'f32',
      proj_clip: 'f32',
      kernel_type: 'i8',
      asymmetric_quantize_inputs: 'bool',
    },
  ],
  ['ResizeBilinearOptions', { new_height: 'i32', new_width: 'i32', align_corners: 'bool', half_pixel_centers: 'bool' }],
  ['CallOptions', { subgraph: 'u32' }],
  ['ReshapeOptions', { new_shape: 'i32[]' }],
  ['SkipGramOptions', { ngram_size: 'i32', max_skip_size: 'i32', include_all_ngrams: 'bool' }],
  ['SpaceToDepthOptions', { block_size: 'i32' }],
  ['EmbeddingLookupSparseOptions', { combiner: 'i8' }],
  ['MulOptions', { fused_activation_function: 'activation' }],
  ['PadOptions', {}],
  ['GatherOptions', { axis: 'i32', batch_dims: 'i32' }],
  ['BatchToSpaceNDOptions', {}],
  ['SpaceToBatchNDOptions', {}],
  ['TransposeOptions', {}],
  ['ReducerOptions', { keep_dims: 'bool' }],
  ['SubOptions', { fused_activation_function: 'activation', pot_scale_int16: ['bool', true] }],
  ['DivOptions', { fused_activation_function: 'activation' }],
  ['SqueezeOptions', { squeeze_dims: 'i32[]' }],
  [
    'SequenceRNNOptions',
    { time_major: 'bool', fused_activation_function: 'activation', asymmetric_quantize_inputs: 'bool' },
  ],
  [
    'StridedSliceOptions',
    {
      begin_mask: 'i32',
      end_mask: 'i32',
      ellipsis_mask: 'i32',
      new_axis_mask: 'i32',
      shrink_axis_mask: 'i32',
      offset: 'bool',
    },
  ],
  ['ExpOptions', {}],
  ['TopKV2Options', {}],
  ['SplitOptions', { num_splits: 'i32' }],
  ['LogSoftmaxOptions', {}],
  ['CastOptions', { in_data_type: 'type', out_data_type: 'type' }],
  ['DequantizeOptions', {}],
  ['MaximumMinimumOptions', {}],
  ['ArgMaxOptions', { output_type: 'type' }],
  ['LessOptions', {}],
  ['NegOptions', {}],
  ['PadV2Options', {}],
  ['GreaterOptions', {}],
  ['GreaterEqualOptions', {}],
  ['LessEqualOptions', {}],
  ['SelectOptions', {}],
  ['SliceOptions', {}],
  [
    'TransposeConvOptions',
    {
      padding: 'padding',
      stride_w: 'i32',
      stride_h: 'i32',
      fused_activation_function: 'activation',
      quantized_bias_type: 'type',
    },
  ],
  ['SparseToDenseOptions', { validate_indices: 'bool' }],
  ['TileOptions', {}],
  ['ExpandDimsOptions', {}],
  ['EqualOptions', {}],
  ['NotEqualOptions', {}],
  ['ShapeOptions', { out_type: 'type' }],
  ['PowOptions', {}],
  ['ArgMinOptions', { output_type: 'type' }],
  ['FakeQuantOptions', { min: 'f32', max: 'f32', num_bits: 'i32', narrow_range: 'bool' }],
  ['PackOptions', { values_count: 'i32', axis: 'i32' }],
  ['LogicalOrOptions', {}],
  ['OneHotOptions', { axis: 'i32' }],
  ['LogicalAndOptions', {}],
  ['LogicalNotOptions', {}],
  ['UnpackOptions', { num: 'i32', axis: 'i32' }],
  ['FloorDivOptions', {}],
  ['SquareOptions', {}],
  ['ZerosLikeOptions', {}],
  ['FillOptions', {}],
  [
    'BidirectionalSequenceLSTMOptions',
    {
      fused_activation_function: 'activation',
      cell_clip: 'f32',
      proj_clip: 'f32',
      merge_outputs: 'bool',
      time_major: ['bool', true],
      asymmetric_quantize_inputs: 'bool',
    },
  ],
  [
    'BidirectionalSequenceRNNOptions',
    {
      time_major: 'bool',
      fused_activation_function: 'activation',
      merge_outputs: 'bool',
      asymmetric_quantize_inputs: 'bool',
    },
  ],
  [
    'UnidirectionalSequenceLSTMOptions',
    {
      fused_activation_function: 'activation',
      cell_clip: 'f32',
      proj_clip: 'f32',
      time_major: 'bool',
      asymmetric_quantize_inputs: 'bool',
      diagonal_recurrent_tensors: 'bool',
    },
  ],
  ['FloorModOptions', {}],
  ['RangeOptions', {}],
  ['ResizeNearestNeighborOptions', { align_corners: 'bool', half_pixel_centers: 'bool' }],
  ['LeakyReluOptions', { alpha: 'f32' }],
  ['SquaredDifferenceOptions', {}],
  ['MirrorPadOptions', { mode: 'mirror' }],
  ['AbsOptions', {}],
  ['SplitVOptions', { num_splits: 'i32' }],
  ['UniqueOptions', { idx_out_type: ['type', 2] }],
  ['ReverseV2Options', {}],
  ['AddNOptions', {}],
  ['GatherNdOptions', {}],
  ['CosOptions', {}],
  ['WhereOptions', {}],
  ['RankOptions', {}],
  ['ReverseSequenceOptions', { seq_dim: 'i32', batch_dim: 'i32' }],
  ['MatrixDiagOptions', {}],
  ['QuantizeOptions', {}],
  ['MatrixSetDiagOptions', {}],
  ['HardSwishOptions', {}],
  ['IfOptions', { then_subgraph_index: 'i32', else_subgraph_index: 'i32' }],
  ['WhileOptions', { cond_subgraph_index: 'i32', body_subgraph_index: 'i32' }],
  ['DepthToSpaceOptions', { block_size: 'i32' }],
  ['NonMaxSuppressionV4Options', {}],
  ['NonMaxSuppressionV5Options', {}],
  ['ScatterNdOptions', {}],
  ['SelectV2Options', {}],
  ['DensifyOptions', {}],
  ['SegmentSumOptions', {}],
  ['BatchMatMulOptions', { adj_x: 'bool', adj_y: 'bool', asymmetric_quantize_inputs: 'bool' }],
  ['CumsumOptions', { exclusive: 'bool', reverse: 'bool' }],
  ['CallOnceOptions', { init_subgraph_index: 'i32' }],
  ['BroadcastToOptions', {}],
  ['Rfft2dOptions', {}],
  [
    'Conv3DOptions',
    {
      padding: 'padding',
      stride_d: 'i32',
      stride_w: 'i32',
      stride_h: 'i32',
      fused_activation_function: 'activation',
      dilation_d_factor: ['i32', 1],
      dilation_w_factor: ['i32', 1],
      dilation_h_factor: ['i32', 1],
    },
  ],
  ['HashtableOptions', { table_id: 'i32', key_dtype: 'type', value_dtype: 'type' }],
  ['HashtableFindOptions', {}],
  ['HashtableImportOptions', {}],
  ['HashtableSizeOptions', {}],
  ['VarHandleOptions', { container: 'string', shared_name: 'string' }],
  ['ReadVariableOptions', {}],
  ['AssignVariableOptions', {}],
  ['RandomOptions', { seed: 'i64', seed2: 'i64' }],
  ['BucketizeOptions', { boundaries: 'f32[]' }],
  ['GeluOptions', { approximate: 'bool' }],
  ['DynamicUpdateSliceOptions', {}],
  ['UnsortedSegmentProdOptions', {}],
  ['UnsortedSegmentMaxOptions', {}],
  ['UnsortedSegmentMinOptions', {}],
  ['UnsortedSegmentSumOptions', {}],
  ['ATan2Options', {}],
  ['SignOptions', {}],
  ['BitcastOptions', {}],
  ['BitwiseXorOptions', {}],
  ['RightShiftOptions', {}],
]

/** Union `BuiltinOptions2`; number 0 is NONE. */
export const BUILTIN_OPTIONS_2: readonly (readonly [string, OptionFields])[] = [
  ['NONE', {}],
  ['StablehloConcatenateOptions', { dimension: 'i64' }],
  ['StablehloBroadcastInDimOptions', { broadcast_dimensions: 'i64[]' }],
  ['StablehloSliceOptions', { start_indices: 'i64[]', limit_indices: 'i64[]', strides: 'i64[]' }],
  [
    'StablehloConvolutionOptions',
    {
      window_strides: 'i64[]',
      padding: 'i64[]',
      lhs_dilation: 'i64[]',
      rhs_dilation: 'i64[]',
      window_reversal: 'bool[]',
      input_batch_dimension: 'i64',
      input_feature_dimension: 'i64',
      input_spatial_dimensions: 'i64[]',
      kernel_input_feature_dimension: 'i64',
      kernel_output_feature_dimension: 'i64',
      kernel_spatial_dimensions: 'i64[]',
      output_batch_dimension: 'i64',
      output_feature_dimension: 'i64',
      output_spatial_dimensions: 'i64[]',
      feature_group_count: 'i64',
      batch_group_count: 'i64',
      precision_config: 'u32[]',
    },
  ],
  [
    'StablehloCustomCallOptions',
    {
      call_target_name: 'string',
      has_side_effect: 'bool',
      backend_config: 'string',
      api_version: 'i32',
      called_computations: 'i32[]',
      custom_attributes: 'u8[]',
    },
  ],
  ['StablehloReduceOptions', { dimensions: 'i64[]', body_subgraph_index: 'i32' }],
  [
    'StablehloScatterOptions',
    {
      indices_are_sorted: 'bool',
      update_window_dims: 'i64[]',
      inserted_window_dims: 'i64[]',
      scatter_dims_to_operand_dims: 'i64[]',
      index_vector_dim: 'i64',
      unique_indices: 'bool',
      update_computation_subgraph_index: 'i32',
    },
  ],
  ['StablehloCompareOptions', { comparison_direction: 'u32', compare_type: 'u32' }],
  ['StablehloDynamicSliceOptions', { slice_sizes: 'i64[]' }],
  ['StablehloPadOptions', { edge_padding_low: 'i64[]', edge_padding_high: 'i64[]', interior_padding: 'i64[]' }],
  ['StablehloIotaOptions', { iota_dimension: 'i64' }],
  [
    'StablehloDotGeneralOptions',
    {
      lhs_batching_dimensions: 'i64[]',
      rhs_batching_dimensions: 'i64[]',
      lhs_contracting_dimensions: 'i64[]',
      rhs_contracting_dimensions: 'i64[]',
      precision_config: 'u32[]',
    },
  ],
  [
    'StablehloReduceWindowOptions',
    {
      window_dimensions: 'i64[]',
      window_strides: 'i64[]',
      base_dilations: 'i64[]',
      window_dilations: 'i64[]',
      padding: 'i64[]',
      body_subgraph_index: 'i32',
    },
  ],
  ['StablehloSortOptions', { dimension: 'i64', is_stable: 'bool', comparator_subgraph_index: 'i32' }],
  ['StablehloWhileOptions', { cond_subgraph_index: 'i32', body_subgraph_index: 'i32' }],
  [
    'StablehloGatherOptions',
    {
      offset_dims: 'i64[]',
      collapsed_slice_dims: 'i64[]',
      start_index_map: 'i64[]',
      index_vector_dim: 'i64',
      slice_sizes: 'i64[]',
      indices_are_sorted: 'bool',
    },
  ],
  ['StablehloTransposeOptions', { permutation: 'i64[]' }],
  ['DilateOptions', {}],
  ['StablehloRngBitGeneratorOptions', { algorithm: 'i8' }],
  ['ReduceWindowOptions', { reduce_function: 'i32' }],
  [
    'StableHLOCompositeOptions',
    {
      name: 'string',
      decomposition_subgraph_index: 'i32',
      composite_attributes: 'u8[]',
      composite_attributes_format: 'i8',
      version: 'i32',
    },
  ],
  ['StablehloShiftLeftOptions', {}],
  ['StablehloCaseOptions', { branch_subgraph_indices: 'i32[]' }],
]
