import type { ModuleNode } from './module-tree.ts'

/** One line of a folded tree. */
export interface ModuleRow {
  /** `layer1`, `layer1.[0-2]`; a chain of single children is one row, joined by `separator` */
  readonly label: string
  readonly depth: number
  /** how many siblings this row stands for */
  readonly count: number
  /** the first of them */
  readonly module: ModuleNode
  /** of the last of them */
  readonly outputShape: ModuleNode['outputShape']
  readonly parameters: number
  readonly macs?: number
  /** kinds in it and its folded children */
  readonly kinds: readonly string[]
  /** children that the depth leaves out */
  readonly hidden: number
}

export interface FoldOptions {
  /** levels shown; deeper ones are summed */
  readonly maxDepth: number
  /** a level with more children than this after folding is cut, and says so */
  readonly maxChildren: number
}

/**
 * A tree as rows that a person reads: siblings that are built the same (same children, kinds and sizes) become one row
 * with a range, e.g. `encoder.layer.[0-11]`; chains with nothing beside them become one row, and what all names begin
 * with is left out.
 *
 * Figures of a folded row, and of the rows below it, are sums over all that it stands for.
 */
export function foldModules(root: ModuleNode, options: FoldOptions): ModuleRow[] {
  const rows: ModuleRow[] = []
  // `times`: how many copies of this level the folded rows above stand for
  const visit = (module: ModuleNode, depth: number, times: number) => {
    const groups = groupSiblings(module.children.filter(holdsSomething)).flatMap((group) =>
      isWorthFolding(group) ? [group] : group.map((one) => [one]),
    )
    for (const group of groups.slice(0, options.maxChildren)) {
      const [first] = group
      const { label, module: inner } = followChain(first!, rangeLabel(group.map(({ name }) => name)))
      const isLast = depth + 1 >= options.maxDepth || inner.children.length === 0
      rows.push({
        label,
        depth,
        count: group.length,
        module: inner,
        outputShape: followChain(group.at(-1)!, '').module.outputShape,
        parameters: times * group.reduce((sum, { parameters }) => sum + parameters, 0),
        ...sumMacs(group, times),
        kinds: isLast ? allKinds(inner) : inner.kinds,
        hidden: isLast ? inner.children.length : 0,
      })
      if (!isLast) visit(inner, depth + 1, times * group.length)
    }
    if (groups.length > options.maxChildren) {
      const rest = groups.slice(options.maxChildren).flat()
      rows.push({
        label: `... ${rest.length} more`,
        depth,
        count: rest.length,
        module: { name: '', path: '', kinds: [], parameters: 0, bytes: 0, children: [] },
        outputShape: undefined,
        parameters: times * rest.reduce((sum, { parameters }) => sum + parameters, 0),
        ...sumMacs(rest, times),
        kinds: [],
        hidden: 0,
      })
    }
  }
  visit(withoutPrefix(root), 0, 1)
  return rows
}

/** Without the part that all names begin with (`module`, `state_dict`, `model_weights`): it says nothing. */
function withoutPrefix(root: ModuleNode): ModuleNode {
  let current = root
  while (
    current.children.length === 1 &&
    current.children[0]!.children.length > 0 &&
    current.children[0]!.kinds.length === 0
  ) {
    current = current.children[0]!
  }
  return current
}

/** Two layers called fc1 and fc2 are better seen one by one; numbered blocks are not. */
function isWorthFolding(group: readonly ModuleNode[]): boolean {
  return group.length > 2 || /^\d+$/.test(group[0]!.name) || group[0]!.children.length > 0
}

/** Modules of constants (reshape targets, pads) alone are not worth a row. */
function holdsSomething({ kinds, parameters, macs, children }: ModuleNode): boolean {
  return parameters > 0 || (macs ?? 0) > 0 || kinds.length > 0 || children.some(holdsSomething)
}

function sumMacs(group: readonly ModuleNode[], times: number): { macs?: number } {
  if (group.some(({ macs }) => macs === undefined)) return {}
  return { macs: times * group.reduce((sum, { macs }) => sum + (macs ?? 0), 0) }
}

/** Down through modules that hold nothing but one child. */
function followChain(module: ModuleNode, label: string): { label: string; module: ModuleNode } {
  let current = module
  let text = label
  while (
    current.children.length === 1 &&
    current.kinds.length === 0 &&
    current.children[0]!.parameters === current.parameters
  ) {
    current = current.children[0]!
    // Keras repeats the layer's name: conv2d/conv2d
    if (current.name !== module.name) text = `${text}${current.path.includes('/') ? '/' : '.'}${current.name}`
  }
  return { label: text, module: current }
}

/** Runs of siblings with consecutive numbers and the same structure and size; everything else stays alone. */
function groupSiblings(children: readonly ModuleNode[]): ModuleNode[][] {
  const groups: ModuleNode[][] = []
  let last = { stem: '', number: Number.NaN, structure: '' }
  for (const child of children) {
    const numbered = /^(.*?)(\d+)(.*)$/.exec(child.name)
    const stem = numbered ? `${numbered[1]}#${numbered[3]}` : child.name
    const number = numbered ? Number(numbered[2]) : Number.NaN
    const structure = structureOf(child)
    if (stem === last.stem && number === last.number + 1 && structure === last.structure) groups.at(-1)!.push(child)
    else groups.push([child])
    last = { stem, number, structure }
  }
  return groups
}

function structureOf({ kinds, parameters, children }: ModuleNode): string {
  return `${kinds.join(',')} ${parameters}(${children.map((child) => `${child.name}:${structureOf(child)}`).join(' ')})`
}

/** `0`, `1`, `2` as `[0-2]`; `conv1`, `conv2` as `conv[1-2]`. */
function rangeLabel(names: readonly string[]): string {
  const [first = '', last = ''] = [names[0], names.at(-1)]
  if (names.length === 1) return first
  const from = /^(.*?)(\d+)(.*)$/.exec(first)
  const to = /^(.*?)(\d+)(.*)$/.exec(last)
  return from && to ? `${from[1]}[${from[2]}-${to[2]}]${from[3]}` : `${first} ... ${last}`
}

function allKinds(module: ModuleNode): string[] {
  const kinds = new Set(module.kinds)
  for (const child of module.children) for (const kind of allKinds(child)) kinds.add(kind)
  return [...kinds]
}
