"""The classes of faults: one row each, named after the cause that a comparison should find, and its half."""

from collections.abc import Callable
from dataclasses import dataclass

from planters import activation, geometry, normalisation, numeric, structure, weights


@dataclass(frozen=True)
class Fault:
    """`plant(graph, rng)` offers plantings in a seeded order; `id` is a label of src/compare/vocabulary.ts."""

    id: str
    plant: Callable
    half: str


def rows(half, *plants):
    return tuple(Fault(plant.__name__.replace("_", "-"), plant, half) for plant in plants)


FAULTS = (
    *rows(
        "development",
        activation.activation_missing,
        activation.activation_parameter,
        geometry.dilation,
        geometry.padding,
        geometry.pooling_type,
        geometry.resize_mode,
        normalisation.bn_epsilon,
        normalisation.layernorm_epsilon,
        numeric.attention_mask,
        numeric.clip_range,
        numeric.dropout_active,
        numeric.softmax_axis,
        structure.concat_order,
        structure.flatten_order,
        structure.layer_extra,
        weights.bias_missing,
        weights.kernel_flipped,
        weights.position_embedding,
        weights.weight_quantised,
        weights.weight_swapped,
        weights.weight_transposed,
    ),
    *rows(
        "held-out",
        activation.activation_extra,
        activation.activation_type,
        geometry.groups,
        geometry.pooling_ceil_mode,
        geometry.pooling_count_include_pad,
        geometry.resize_coordinates,
        geometry.stride,
        normalisation.bn_affine,
        normalisation.bn_statistics,
        numeric.attention_scale,
        numeric.constant_value,
        numeric.dtype_cast,
        numeric.input_normalisation,
        structure.channel_order,
        structure.layer_missing,
        structure.residual_missing,
        structure.sequence_order,
        weights.input_channel_order,
        weights.lstm_gate_order,
        weights.weight_permuted,
        weights.weight_stale,
    ),
)
