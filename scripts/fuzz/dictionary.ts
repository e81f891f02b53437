const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))
const bytes = (...values: readonly number[]) => Uint8Array.from(values)

/** Integers at which size checks break: around zero, around the ends of each width, and beyond 2^53. */
export const EDGE_INTEGERS: readonly bigint[] = [
  0n,
  1n,
  2n,
  -1n,
  -2n,
  7n,
  8n,
  63n,
  64n,
  65n,
  127n,
  128n,
  255n,
  256n,
  1000n,
  4096n,
  32767n,
  32768n,
  65535n,
  65536n,
  1n << 20n,
  1n << 24n,
  (1n << 31n) - 1n,
  1n << 31n,
  (1n << 32n) - 1n,
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 62n) + 1n,
  (1n << 63n) - 1n,
  1n << 63n,
]

/** Strings that mean something to a path, a pattern, a number reader or an object key. */
export const EDGE_STRINGS: readonly string[] = [
  '',
  '.',
  '..',
  '../x',
  '/etc/passwd',
  'C:\\x',
  'a\0b',
  '__proto__',
  'constructor',
  'toString',
  'NaN',
  '-1',
  '1e999',
  '99999999999999999999',
  '0x10',
  '\u{1f9ea}',
  '(a+)+$',
  'a'.repeat(300),
]

const PICKLE = [
  bytes(0x80, 2),
  bytes(0x80, 4),
  bytes(0x80, 5),
  latin('.'),
  latin('('),
  latin(')'),
  latin(']'),
  latin('}'),
  latin('l'),
  latin('d'),
  latin('t'),
  latin('0'),
  latin('1'),
  latin('2'),
  latin('a'),
  latin('e'),
  latin('s'),
  latin('u'),
  latin('R'),
  latin('b'),
  latin('Q'),
  latin('o'),
  latin('N'),
  bytes(0x81),
  bytes(0x92),
  bytes(0x93),
  bytes(0x94),
  bytes(0x97),
  bytes(0x98),
  bytes(0x85),
  bytes(0x86),
  bytes(0x87),
  bytes(0x8f),
  bytes(0x90),
  bytes(0x91),
  latin('cos\nsystem\n'),
  latin('ios\nsystem\n'),
  latin('cbuiltins\neval\n'),
  latin('ctorch._utils\n_rebuild_tensor_v2\n'),
  latin('ccollections\nOrderedDict\n'),
  latin('cnumpy.core.multiarray\n_reconstruct\n'),
  latin('cbuiltins\ngetattr\n'),
  latin('c__builtin__\nset\n'),
  bytes(0x71, 0),
  bytes(0x68, 0),
  bytes(0x72, 0xff, 0xff, 0xff, 0x7f),
  bytes(0x6a, 0, 0, 0, 0),
  bytes(0x8a, 0xff),
  bytes(0x8b, 0xff, 0xff, 0xff, 0x7f),
  bytes(0x8d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
  bytes(0x95, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0),
  bytes(0x82, 1),
  bytes(0x84, 1, 0, 0, 0),
  latin('I01\n'),
  latin('L99999999999L\n'),
  latin('F1e400\n'),
  latin("S'x'\n"),
  latin('Vx\n'),
  latin('P0\n'),
  latin('p0\n'),
  latin('g0\n'),
]

const HDF5 = ['\x89HDF\r\n\x1a\n', 'OHDR', 'OCHK', 'TREE', 'SNOD', 'HEAP', 'GCOL', 'FRHP', 'FHDB', 'FHIB', 'BTHD']
  .concat(['BTLF', 'BTIN', 'FAHD', 'FADB', 'EAHD', 'EAIB', 'EASB', 'EADB', 'FSHD', 'FSSE'])
  .map(latin)
  .concat([bytes(255, 255, 255, 255, 255, 255, 255, 255)])

const ZIP = [
  latin('PK\x01\x02'),
  latin('PK\x03\x04'),
  latin('PK\x05\x06'),
  latin('PK\x06\x06'),
  latin('PK\x06\x07'),
  latin('PK\x07\x08'),
  bytes(1, 0, 16, 0),
  latin('../'),
]

const PROTOBUF = [
  bytes(0x0a, 0),
  bytes(0x12, 0xff, 0xff, 0xff, 0xff, 0x0f),
  bytes(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
  bytes(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
  bytes(0x0b),
  bytes(0x0c),
  bytes(0x0d),
  bytes(0x09),
  bytes(0x3a),
  bytes(0x42),
  bytes(0x4a),
  bytes(0x08, 0),
  bytes(0x10, 0),
  bytes(0x18, 0),
  bytes(0x2a),
  bytes(0x70, 1),
]

const JSON_TEXT = ['{', '}', '[', ']', '"', '\\u0000', '\\ud800', ',', ':', 'null', 'true', '-1', '1e999', '[[[[[[[[']
  .concat(['"__proto__":', '"dtype":', '"shape":', '"data_offsets":', '99999999999999999999'])
  .map(latin)

const LINE_TEXT = [
  '\n',
  '\n\n',
  ' ',
  '=',
  ',',
  '#',
  '{',
  '}',
  '"',
  ':',
  '-1',
  '0',
  '1e999',
  '99999999999999999999',
  '-23330',
]
  .concat(['[convolutional]\n', '[route]\n', '[shortcut]\n', 'layers=-1,-99\n', 'dim: -1\n', 'layer {\n'])
  .map(latin)

const NUMPY = [
  "'descr'",
  "'|O'",
  "'<f4'",
  "'>c16'",
  "'|V9999999'",
  "'<U99999999'",
  'True',
  '(',
  ')',
  ',)',
  '\x93NUMPY\x01\0',
]
  .concat(['(9999999999,)', '-1', '(((((('])
  .map(latin)

const FLATBUFFER = [latin('TFL3'), bytes(4, 0, 0, 0), bytes(0xfc, 0xff, 0xff, 0xff), bytes(0, 0, 0, 0x80)]

/** Tokens to write into a file, by what the bytes look like. */
export function tokensFor(kind: ContentKind): readonly Uint8Array[] {
  return TOKENS[kind]
}

export type ContentKind =
  | 'zip'
  | 'hdf5'
  | 'pickle'
  | 'json'
  | 'text'
  | 'numpy'
  | 'flatbuffer'
  | 'protobuf'
  | 'table'
  | 'safetensors'

const TOKENS: Readonly<Record<ContentKind, readonly Uint8Array[]>> = {
  zip: ZIP,
  hdf5: HDF5,
  pickle: PICKLE,
  json: JSON_TEXT,
  text: LINE_TEXT,
  numpy: [...NUMPY, ...PICKLE],
  flatbuffer: FLATBUFFER,
  protobuf: PROTOBUF,
  table: PROTOBUF,
  safetensors: JSON_TEXT,
}

/** What `content` looks like from its first and last bytes: decides which mutations reach behind the first check. */
export function kindOf(content: Uint8Array): ContentKind {
  const text = String.fromCharCode(...content.subarray(0, 600))
  if (text.startsWith('PK')) return 'zip'
  if (text.includes('\x89HDF')) return 'hdf5'
  if (text.startsWith('\x93NUMPY')) return 'numpy'
  if (text.startsWith('TFL3', 4)) return 'flatbuffer'
  if (text[0] === '\x80' && content[1]! < 6) return 'pickle'
  if (text[8] === '{') return 'safetensors'
  if (content.at(-1) === 0xdb && content.at(-2) === 0x47) return 'table'
  if (/^\s*[[{]/.test(text)) return 'json'
  if (/^[\t\n\r -~]*$/.test(text)) return 'text'
  return 'protobuf'
}
