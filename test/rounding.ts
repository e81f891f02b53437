/**
 * Text of a report without what the processor decides: its kernels add in different orders, so figures of the size of
 * rounding, and how many times rounding a difference is, are not the same on every machine.
 */
export const withoutRounding = (text: string): string =>
  text
    .replaceAll(/[▂▃]/g, '▁')
    .replaceAll(/\b\d+(\.\d+)?e-(?:[6-9]|[1-9]\d)\b/g, 'rounding')
    .replaceAll(/\b[\d.,]+(?: (?:million|billion))?(?= (?:x|times)\b)/g, 'so many')
