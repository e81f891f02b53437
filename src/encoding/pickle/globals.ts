/**
 * What is known of the names that a pickle refers to. Nothing depends on this list for safety, since nothing is ever
 * imported or called; it sorts the report.
 *
 * - `known`: harmless and common in model files
 * - `dangerous`: runs code, reaches the system, or is a stepping stone to what does
 * - `unknown`: on neither list
 */
export type GlobalKind = 'known' | 'unknown' | 'dangerous'

/** Modules of which everything is dangerous. */
const DANGEROUS_MODULES = new Set(
  `os posix posixpath nt ntpath sys subprocess _posixsubprocess shutil socket _socket ssl http urllib urllib2 requests
  httplib ftplib smtplib telnetlib xmlrpc webbrowser antigravity importlib imp runpy pkgutil zipimport pty pexpect
  commands popen2 ctypes _ctypes cffi multiprocessing threading _thread thread asyncio signal gc inspect code codeop
  bdb pdb cProfile profile timeit trace doctest pydoc distutils setuptools pip ensurepip venv pickle _pickle cPickle
  cloudpickle dill shelve marshal tempfile fileinput io _io mmap types idlelib lib2to3 site sysconfig winreg _winreg
  paramiko fabric docker fcntl operator _operator sqlite3`.split(/\s+/),
)

/** Names in modules that are otherwise fine, and their relatives in Python 2. */
const DANGEROUS_BUILTINS = new Set(
  `eval exec execfile compile open file input raw_input __import__ getattr setattr delattr globals locals vars dir
  apply breakpoint exit quit help reload map filter reduce`.split(/\s+/),
)

const DANGEROUS_NAMES = new Set(
  `torch.load torch.save torch.serialization.load torch.hub.load torch.hub.load_state_dict_from_url torch.jit.load
  torch.ops.load_library torch.classes.load_library torch.utils.cpp_extension.load torch.compile torch.distributed.rpc
  torch.utils._config_module.load_config torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression
  torch._dynamo.guards.GuardBuilder.get torch.distributed.elastic.multiprocessing.start_processes
  torch.utils.collect_env.run torch.utils.bottleneck.__main__.run_cprofile torch.utils.data.datapipes.utils.decoder.basichandlers
  numpy.load numpy.save numpy.fromfile numpy.memmap numpy.loadtxt numpy.genfromtxt numpy.f2py.compile
  numpy.testing._private.utils.runstring numpy.distutils.exec_command.exec_command pandas.read_pickle pandas.eval
  copyreg.add_extension copyreg.pickle codecs.open _codecs.lookup tensorflow.py_function keras.models.load_model
  yaml.load yaml.unsafe_load joblib.load functools.reduce logging.config.listen`.split(/\s+/),
)

/** Attributes through which a dotted name leaves the module it begins in: `torch.serialization.os.system`. */
const DANGEROUS_ATTRIBUTES =
  /^(__globals__|__builtins__|__import__|__subclasses__|__reduce__|__code__|f_globals|system|popen|spawn\w*|exec\w*)$/

const KNOWN_NAMES = new Set(
  `collections.OrderedDict collections.defaultdict collections.Counter collections.deque argparse.Namespace
  _codecs.encode copyreg._reconstructor copyreg.__newobj__ copy_reg._reconstructor copy_reg.__newobj__
  numpy.ndarray numpy.dtype numpy.core.multiarray._reconstruct numpy._core.multiarray._reconstruct
  numpy.core.multiarray.scalar numpy._core.multiarray.scalar numpy.core.numeric._frombuffer
  numpy._core.numeric._frombuffer numpy.random._pickle.__randomstate_ctor numpy.random._pickle.__generator_ctor
  numpy.random._pickle.__bit_generator_ctor numpy.random.mtrand.RandomState numpy.ma.core._mareconstruct
  datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone decimal.Decimal
  fractions.Fraction uuid.UUID enum.Enum
  pathlib.Path pathlib.PosixPath pathlib.WindowsPath pathlib.PurePath pathlib.PurePosixPath pathlib.PureWindowsPath
  pathlib._local.PosixPath pathlib._local.WindowsPath pathlib._local.PurePosixPath types.SimpleNamespace
  typing.Any typing.Union typing.Optional easydict.EasyDict addict.addict.Dict yacs.config.CfgNode
  ml_collections.config_dict.config_dict.ConfigDict mmcv.utils.config.ConfigDict mmengine.config.config.ConfigDict
  omegaconf.dictconfig.DictConfig omegaconf.listconfig.ListConfig omegaconf.base.ContainerMetadata
  omegaconf.base.Metadata omegaconf.nodes.AnyNode omegaconf.nodes.StringNode omegaconf.nodes.IntegerNode
  omegaconf.nodes.FloatNode omegaconf.nodes.BooleanNode omegaconf.nodes.EnumNode omegaconf.nodes.InterpolationResultNode
  pytorch_lightning.utilities.parsing.AttributeDict lightning_fabric.utilities.data.AttributeDict
  lightning.fabric.utilities.data.AttributeDict
  torch.Size torch.device torch.Tensor torch.Generator torch.memory_format torch.layout torch.finfo torch.iinfo
  torch._tensor._rebuild_from_type torch._tensor._rebuild_from_type_v2 torch._tensor.Tensor torch.tensor._rebuild_from_type
  torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2 torch._utils._rebuild_tensor_v3
  torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state torch._utils._rebuild_qtensor
  torch._utils._rebuild_sparse_tensor torch._utils._rebuild_sparse_csr_tensor torch._utils._rebuild_nested_tensor
  torch._utils._rebuild_meta_tensor_no_storage torch._utils._rebuild_wrapper_subclass torch._utils._rebuild_xla_tensor
  torch._utils._rebuild_device_tensor_from_numpy torch._utils._rebuild_device_tensor_from_cpu_tensor
  torch.storage._load_from_bytes torch.storage.TypedStorage torch.storage._TypedStorage torch.storage.UntypedStorage
  torch.storage._UntypedStorage torch.serialization._get_layout torch.nn.parameter.Parameter torch.nn.Parameter
  torch.nn.parameter.Buffer torch.nn.parameter.UninitializedParameter torch.nn.parameter.UninitializedBuffer
  torch.per_tensor_affine torch.per_channel_affine torch.per_tensor_symmetric torch.per_channel_symmetric
  torch.per_channel_affine_float_qparams torch.sparse_coo torch.sparse_csr torch.strided
  torch.contiguous_format torch.channels_last torch.channels_last_3d torch.preserve_format
  torch.utils.hooks.RemovableHandle torch.cuda.amp.grad_scaler.GradScaler torch.amp.grad_scaler.GradScaler
  torch.jit._pickle.build_intlist torch.jit._pickle.build_doublelist torch.jit._pickle.build_boollist
  torch.jit._pickle.build_tensorlist torch.jit._pickle.build_tensor_from_id torch.jit._pickle.restore_type_tag
  torch.optim.lr_scheduler.LambdaLR torch.optim.swa_utils.AveragedModel
  torchvision.models._utils.IntermediateLayerGetter`.split(/\s+/),
)

const KNOWN_BUILTINS = new Set(
  `object dict list tuple set frozenset str unicode bytes bytearray int long float complex bool slice range xrange
  type Ellipsis NotImplemented NoneType print len min max sum`.split(/\s+/),
)

/** Storages, dtypes, and classes of layers, optimizers and TorchScript types: instances are made from data only. */
const KNOWN_PATTERNS = [
  /^torch\.(cuda\.)?(\w+Storage)$/,
  /^torch\.(float|double|half|bfloat16|u?int|long|short|bool|complex|cfloat|cdouble|chalf|q?u?int|bits|float8_)\w*$/,
  /^torch\.(nn\.(quantized\.|qat\.|intrinsic\.)?(modules\.)?|ao\.nn\.)([a-z_0-9]+\.)*[A-Z]\w*$/,
  /^torch\.optim\.([a-z_0-9]+\.)*[A-Z]\w*$/,
  /^torchvision\.(models|ops|transforms)\.([a-z_0-9]+\.)*[A-Z]\w*$/,
  /^__torch__\.[\w.]+$/,
  /^numpy\.(bool_?|float\d+|u?int\d+|complex\d+|str_|bytes_|datetime64|timedelta64|longlong)$/,
  /^numpy\.dtypes\.\w+DType$/,
]

/** Sorts a global of a pickle; `name` as the pickle spells it: `module.qualified.name`. */
export function classifyGlobal(module: string, qualifiedName: string): GlobalKind {
  const name = `${module}.${qualifiedName}`
  const isBuiltin = module === 'builtins' || module === '__builtin__' || module === '__builtins__'
  const segments = qualifiedName.split('.')
  if (isBuiltin) {
    if (segments.length > 1 || DANGEROUS_BUILTINS.has(qualifiedName)) return 'dangerous'
    return KNOWN_BUILTINS.has(qualifiedName) || /^[A-Z]\w*(Error|Exception|Warning)$/.test(qualifiedName)
      ? 'known'
      : 'unknown'
  }
  if (KNOWN_NAMES.has(name)) return 'known'
  if (DANGEROUS_MODULES.has(module.split('.')[0]!) || DANGEROUS_MODULES.has(module)) return 'dangerous'
  if (DANGEROUS_NAMES.has(name)) return 'dangerous'
  const leaves = segments.length > 1 || segments[0]!.startsWith('__')
  if (leaves && segments.some((segment) => DANGEROUS_MODULES.has(segment) || DANGEROUS_ATTRIBUTES.test(segment))) {
    return 'dangerous'
  }
  return KNOWN_PATTERNS.some((pattern) => pattern.test(name)) ? 'known' : 'unknown'
}
