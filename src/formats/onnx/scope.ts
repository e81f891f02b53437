import { entry } from './external.ts'
import type { NodeProto } from './schema.ts'

/**
 * The module that a node came from: `pkg.torch.onnx.name_scopes` of the new PyTorch exporter (a Python list of dotted
 * paths from the root to the node itself), else the node's name where it is a path such as `/layer1/conv1/Conv`.
 */
export function nodeScope(proto: NodeProto): { scope?: string } {
  const listed = entry(proto.metadataProps, 'pkg.torch.onnx.name_scopes')
  if (listed !== undefined) {
    const scopes = [...listed.slice(0, 10_000).matchAll(/'([^']*)'|"([^"]*)"/g)].map(
      (match) => match[1] ?? match[2] ?? '',
    )
    const scope = scopes.at(-2)
    return scope ? { scope } : {}
  }
  const path = (proto.name ?? '').replace(/^\/+/, '')
  const end = path.lastIndexOf('/')
  return end > 0 ? { scope: path.slice(0, end) } : {}
}
