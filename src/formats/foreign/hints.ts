/** For formats that need a converter of their maker. */
export const CORE_ML = 'Core ML is not read. Open the model that it was converted from (PyTorch, TensorFlow, ONNX).'
/** For device-specific and closed forms. */
export const COMPILED =
  'It is compiled for one device and has no public description: ask for the model that it was made from (ONNX, PyTorch, TensorFlow).'
