/**
 * Whether `name` is meant by `pattern`: `*` stands for any characters, `?` for one. A pattern without them also means
 * everything within the module of that name: `head` means `head.fc.weight` and `/head/fc/Gemm`. Slashes and colons at
 * the ends do not count.
 *
 * Time is at most the product of both lengths: patterns come from a file and are never turned into a RegExp.
 */
export function matchesPattern(name: string, pattern: string): boolean {
  const [plain, wanted] = [trimmed(name), trimmed(pattern)]
  if (wanted === '') return false
  if (!/[*?]/.test(wanted)) return plain === wanted || isWithin(plain, wanted)
  return matchesGlob(plain, wanted)
}

const trimmed = (name: string) => name.replace(/^\/+/, '')

const isWithin = (name: string, module: string) => name.startsWith(module) && /[./:]/.test(name[module.length] ?? '')

function matchesGlob(name: string, pattern: string): boolean {
  let [at, place] = [0, 0]
  let star = -1
  let resume = 0
  while (at < name.length) {
    if (place < pattern.length && pattern[place] === '*') {
      star = place++
      resume = at
    } else if (place < pattern.length && (pattern[place] === '?' || pattern[place] === name[at])) {
      place++
      at++
    } else if (star >= 0) {
      // the last star takes one character more
      place = star + 1
      at = ++resume
    } else return false
  }
  while (pattern[place] === '*') place++
  return place === pattern.length
}
