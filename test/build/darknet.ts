/** A cfg of 2 x 2 input with `channels`, then the given sections. */
export function darknetCfg(sections: string, channels = 1): Uint8Array {
  return new TextEncoder().encode(`[net]\nwidth=2\nheight=2\nchannels=${channels}\n${sections}`)
}

/** A weights file: version, images seen (8 or 4 bytes by version), then `count` float32 values 0, 1, 2 ... */
export function darknetWeights(count: number, version: readonly [number, number, number] = [0, 2, 0]): Uint8Array {
  const wide = version[0] * 10 + version[1] >= 2 && version[0] < 1000 && version[1] < 1000
  const bytes = new Uint8Array(12 + (wide ? 8 : 4) + count * 4)
  const view = new DataView(bytes.buffer)
  for (const [index, part] of version.entries()) view.setInt32(index * 4, part, true)
  view.setUint32(12, 64, true)
  for (let index = 0; index < count; index++) view.setFloat32(bytes.length - (count - index) * 4, index, true)
  return bytes
}
