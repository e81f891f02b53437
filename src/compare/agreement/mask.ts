import type { ObservedOutput } from './output.ts'

/** Agreement of segmentation maps, pixel by pixel. */
export interface MaskAgreement {
  readonly classes: number
  /** maps looked at */
  readonly samples: number
  readonly pixelAgreement: number
  /** mean over the classes that either side shows; 1 where both show the same pixels of each */
  readonly meanIou: number
}

/** How classes lie in a map. */
export type MaskForm =
  | { readonly kind: 'channels'; readonly axis: 'first' | 'last'; readonly classes: number; readonly pixels: number }
  /** one channel: the object is where the value passes `threshold` */
  | { readonly kind: 'threshold'; readonly threshold: number; readonly pixels: number }
  /** whole numbers: the class itself */
  | { readonly kind: 'labels'; readonly pixels: number }

/** More distinct labels than this are no classes. */
const MAX_CLASSES = 65_536

/** Compares the class of every pixel, and per class intersection over union. */
export function compareMasks({ runs }: ObservedOutput, form: MaskForm): MaskAgreement {
  const counts = new Map<number, { both: number; either: number }>()
  const of = (label: number) => {
    const known = counts.get(label) ?? { both: 0, either: 0 }
    if (counts.size < MAX_CLASSES) counts.set(label, known)
    return known
  }
  let [samples, pixels, same] = [0, 0, 0]
  for (const { reference, candidate } of runs) {
    const size = form.kind === 'channels' ? form.pixels * form.classes : form.pixels
    for (let start = 0; size > 0 && start + size <= reference.length; start += size) {
      samples++
      for (let pixel = 0; pixel < form.pixels; pixel++) {
        const [own, other] = [labelAt(reference, start, pixel, form), labelAt(candidate, start, pixel, form)]
        pixels++
        of(own).either++
        if (own === other) {
          same++
          of(own).both++
        } else of(other).either++
      }
    }
  }
  const overlaps = [...counts.values()].map(({ both, either }) => both / either)
  const mean = overlaps.reduce((sum, value) => sum + value, 0) / overlaps.length
  const classes = form.kind === 'channels' ? form.classes : counts.size
  return { classes, samples, pixelAgreement: pixels === 0 ? Number.NaN : same / pixels, meanIou: mean }
}

function labelAt(values: ArrayLike<number>, start: number, pixel: number, form: MaskForm): number {
  if (form.kind === 'labels') return values[start + pixel]!
  if (form.kind === 'threshold') return values[start + pixel]! > form.threshold ? 1 : 0
  const step = form.axis === 'first' ? form.pixels : 1
  const first = start + (form.axis === 'first' ? pixel : pixel * form.classes)
  let best = 0
  for (let index = 1; index < form.classes; index++)
    if (values[first + index * step]! > values[first + best * step]!) best = index
  return best
}
