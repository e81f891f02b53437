/**
 * A tensor's or scope's name as a path of modules, leaf last: `layer1.0.conv1.weight`, `conv1/kernel:0`,
 * `/layer1/layer1.0/conv1/Conv`. Slashes part first; a name without slashes is parted by dots. The output index
 * `:0` and empty parts are dropped; of the names that TFLite joins by `;` when it fuses operators the first counts.
 *
 * Exporters repeat the whole path in every part (`layer1/layer1.0`): a part that begins with the one before it is cut
 * to what it adds.
 */
export function splitName(name: string): string[] {
  const text = name
    .replace(/;.*$/s, '')
    .replace(/^(const|attr):/, '')
    .replace(/:\d+$/, '')
  const parts = text.split(text.includes('/') ? '/' : '.').filter((part) => part !== '')
  return parts.flatMap((part, i) => {
    const before = parts[i - 1]
    return before !== undefined && part.startsWith(`${before}.`) ? part.slice(before.length + 1).split('.') : [part]
  })
}
