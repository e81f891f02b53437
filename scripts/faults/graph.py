"""An ONNX graph that can be edited node by node: what faults, renaming and folding are written with."""

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """A private copy of an ONNX model with look-ups by name. Names of untouched nodes and values never change."""

    def __init__(self, model):
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        del self.model.graph.value_info[:]

    @property
    def nodes(self):
        return self.model.graph.node

    @property
    def input(self):
        """Name of the one graph input."""
        stored = {tensor.name for tensor in self.model.graph.initializer}
        return next(value.name for value in self.model.graph.input if value.name not in stored)

    @property
    def outputs(self):
        return [value.name for value in self.model.graph.output]

    def of(self, *op_types):
        return [node for node in self.nodes if node.op_type in op_types]

    def producer(self, name):
        return next((node for node in self.nodes if name in node.output), None)

    def consumers(self, name):
        return [node for node in self.nodes if name in node.input]

    def only_consumer(self, name):
        consumers = self.consumers(name)
        return consumers[0] if len(consumers) == 1 and name not in self.outputs else None

    def index(self, node):
        return next(i for i, other in enumerate(self.nodes) if other.output[0] == node.output[0])

    def node(self, output):
        """This graph's own node that makes `output`."""
        return next(node for node in self.nodes if output in node.output)

    def constant(self, name):
        """Value of an initializer or Constant node, None for anything computed."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        node = self.producer(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            return numpy_helper.to_array(self.attribute(node, "value"))
        if node.op_type == "Identity":
            return self.constant(node.input[0])
        return None

    def weight(self, node, index):
        """Constant input `index` of `node`, None when absent or computed."""
        return self.constant(node.input[index]) if index < len(node.input) and node.input[index] else None

    def is_activation(self, name):
        """Whether the value depends on the graph's input (and not on its shape alone)."""
        return bool(name) and name in self.activations()

    def activations(self):
        """Names of all values that depend on the graph's input, in order of execution; shapes count as constants."""
        alive = {self.input: None}
        for node in self.nodes:
            if node.op_type not in ("Shape", "Size") and any(name in alive for name in node.input):
                alive.update((name, None) for name in node.output if name)
        return [name for name in alive if name != self.input]

    def is_activation_or_input(self, name):
        return name == self.input or self.is_activation(name)

    def ancestors(self, name):
        """Names of all activations that `name` is computed from."""
        alive, found, open_names = set(self.activations()), set(), [name]
        makers = {output: node for node in self.nodes for output in node.output}
        while open_names:
            node = makers.get(open_names.pop())
            for source in node.input if node is not None else ():
                if source in alive and source not in found:
                    found.add(source)
                    open_names.append(source)
        return found

    def attribute(self, node, name, default=None):
        for attribute in node.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return default

    def set_attribute(self, node, name, value):
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if value is not None:
            node.attribute.append(helper.make_attribute(name, value))

    def add_constant(self, base, array):
        name = self.fresh(base)
        self.model.graph.initializer.append(numpy_helper.from_array(stored(array), name))
        return name

    def set_weight(self, node, index, array):
        """Gives `node` this value at input `index`; a constant that others share is left alone."""
        old = node.input[index]
        array = np.asarray(array).astype(self.constant(old).dtype)
        if len(self.consumers(old)) == 1:
            for tensor in self.model.graph.initializer:
                if tensor.name == old:
                    tensor.CopyFrom(numpy_helper.from_array(stored(array), old))
                    return
        node.input[index] = self.add_constant(old, array)

    def fresh(self, base):
        taken = {name for node in self.nodes for name in (*node.output, node.name)}
        taken.update(tensor.name for tensor in self.model.graph.initializer)
        number = 1
        while f"{base}_{number}" in taken:
            number += 1
        return f"{base}_{number}"

    def insert_after(self, name, op_type, *constants, position=None, **attributes):
        """Puts an operator between value `name` and all that read it; returns the name of the new value.

        `constants` are its further inputs; with `position` the value stands at that place among them.
        """
        readers = self.consumers(name)
        made = self.fresh(f"{name}_{op_type.lower()}")
        inputs = [value if isinstance(value, str) else self.add_constant(made, value) for value in constants]
        inputs.insert(position or 0, name)
        for reader in readers:
            reader.input[:] = [made if value == name else value for value in reader.input]
        self.insert(helper.make_node(op_type, inputs, [made], made, **attributes), after=name)
        return made

    def insert(self, node, after):
        """Inserts `node` behind the producer of value `after`, at the front when that is an input."""
        place = next((i + 1 for i, other in enumerate(self.nodes) if after in other.output), 0)
        self.model.graph.node.insert(place, node)

    def remove(self, node, keep=0):
        """Takes `node` out; its readers get its input `keep` instead."""
        output, kept = node.output[0], node.input[keep]
        for reader in self.consumers(output):
            reader.input[:] = [kept if value == output else value for value in reader.input]
        self.model.graph.node.remove(self.nodes[self.index(node)])

    def drop_unused(self):
        """Takes out nodes and constants that no output needs."""
        needed, kept = set(self.outputs), []
        for node in reversed(list(self.nodes)):
            if any(name in needed for name in node.output):
                needed.update(node.input)
                kept.append(node)
        del self.model.graph.node[:]
        self.model.graph.node.extend(reversed(kept))
        stored = [tensor for tensor in self.model.graph.initializer if tensor.name in needed]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(stored)


def stored(array):
    """In C order; unlike numpy.ascontiguousarray a scalar stays one."""
    return np.array(array, order="C")
