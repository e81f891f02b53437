import { printable } from '../printable.ts'

/**
 * One self-contained page: no network, no dependency, opens from a file. The style sheet and the little script that
 * filters tables are inlined; everything that came from a model file is escaped.
 */
export function renderPage({ title, body, data }: { title: string; body: string; data: unknown }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
<footer>Made by Modelwright. The data of this page, as JSON, is inside it: <code>JSON.parse(document.getElementById('report').textContent)</code></footer>
<script type="application/json" id="report">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>
<script>${SCRIPT}</script>
</body>
</html>
`
}

/** Text for use inside elements and quoted attributes; characters that hide or turn other text are spelled out. */
export function escapeHtml(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** A section with a heading; `id` makes it a link target. */
export function section(id: string, heading: string, content: string, note = ''): string {
  return `<section id="${id}"><h2>${escapeHtml(heading)}${note === '' ? '' : ` <small>${escapeHtml(note)}</small>`}</h2>\n${content}\n</section>`
}

/** A column of a table; `number` aligns right, `word` is never broken. */
export interface Column {
  readonly head: string
  readonly number?: true
  readonly word?: true
}

/** Rows of ready HTML cells. A long table gets a filter box. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p class="dim">None.</p>'
  const head = columns
    .map(({ head, number }) => `<th scope="col"${number ? ' class="n"' : ''}>${escapeHtml(head)}</th>`)
    .join('')
  const body = rows
    .map((row) => `<tr>${row.map((cell, index) => `<td${cellClass(columns[index])}>${cell}</td>`).join('')}</tr>`)
    .join('\n')
  const filter =
    rows.length > 12 ? '<input class="filter" type="search" placeholder="filter rows" aria-label="filter rows">' : ''
  return `<div class="table">${filter}<div class="scroll" tabindex="0"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div></div>`
}

const cellClass = (column: Column | undefined) => (column?.number ? ' class="n"' : column?.word ? ' class="w"' : '')

const STYLE = `
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1c1e21;--dim:#6a6f76;--line:#e2e3e5;--good:#17794a;--bad:#b3261e;--warn:#8a5a00;--accent:#2457a6}
@media (prefers-color-scheme:dark){:root{--bg:#15171a;--card:#1d2024;--ink:#e7e8ea;--dim:#9aa0a8;--line:#32363c;--good:#5ecb93;--bad:#ff8a80;--warn:#f0bd5e;--accent:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 24px}
h1{font-size:26px;line-height:1.25;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:16px;margin:0 0 12px}h2 small{font-weight:400;color:var(--dim);margin-left:6px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:16px 0}
code,.mono,td{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
h1,code,.mono,td,.cause{overflow-wrap:anywhere}td{vertical-align:top}
.verdict{border-left:6px solid var(--dim);padding:4px 0 4px 16px;margin-bottom:20px}
.verdict.match{border-color:var(--good)}.verdict.mismatch{border-color:var(--bad)}.verdict.not-compared{border-color:var(--warn)}
.word{font-size:13px;font-weight:700;letter-spacing:.08em;text-transform:uppercase}
.match .word,.good{color:var(--good)}.mismatch .word,.bad{color:var(--bad)}.not-compared .word,.warn{color:var(--warn)}
.dim{color:var(--dim)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:16px}@media (max-width:720px){.pair{grid-template-columns:1fr}}
.pair>div{border:1px solid var(--line);border-radius:8px;padding:12px 14px;min-width:0;overflow-wrap:anywhere}
.side{margin:0 0 4px;font-size:12px;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:var(--dim)}
.cause{display:grid;grid-template-columns:minmax(140px,auto) 1fr;gap:4px 16px;padding:8px 0;border-top:1px solid var(--line)}.cause:first-of-type{border-top:0}
.figures{list-style:none;display:flex;flex-wrap:wrap;gap:6px 22px;margin:0 0 18px;padding:0;color:var(--dim)}.figures b{color:var(--ink);font-size:17px;font-variant-numeric:tabular-nums}
.fault+.fault{border-top:1px solid var(--line);margin-top:20px;padding-top:18px}h3{font-size:16px;margin:0 0 10px;overflow-wrap:anywhere}
.count{display:inline-block;min-width:22px;text-align:center;border-radius:99px;background:var(--bad);color:var(--card);font-size:12px;line-height:22px;margin-right:8px;vertical-align:2px}
.why{display:grid;grid-template-columns:minmax(150px,auto) 1fr;gap:4px 16px;margin:14px 0 0;overflow-wrap:anywhere}
.fix{margin-top:6px;font-weight:600}.fix span{color:var(--good);margin-right:8px;text-transform:uppercase;font-size:12px;letter-spacing:.06em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:14px 0 0;font-size:14px}dt{color:var(--dim)}dd{margin:0;min-width:0;overflow-wrap:anywhere}
.small{font-size:13px}.hash{font:11px/1.4 ui-monospace,Menlo,Consolas,monospace}.pair{font-size:14px}.chips{margin:0 0 8px}.chips .tag{margin:0 6px 4px 0}summary{cursor:pointer;color:var(--accent);margin-bottom:8px}
figure{margin:0 0 16px}figcaption{font-size:13px;margin-top:4px}.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:var(--dim);margin-bottom:6px}
.legend i{display:inline-block;margin-right:6px;vertical-align:middle}.legend .dot{width:9px;height:9px;border-radius:99px;background:var(--accent)}.legend .dot.bad{background:var(--bad)}.legend .dot.warn{background:none;border:2px solid var(--warn)}.legend .bar{width:18px;border-top:2px solid var(--warn)}
.grid{stroke:var(--line)}.run{fill:none;stroke:var(--warn);stroke-width:2;stroke-linejoin:round}.alone{fill:var(--accent)}circle.fault{fill:var(--bad)}circle.accounted{fill:var(--card);stroke:var(--warn);stroke-width:2}.band{fill:var(--bad);opacity:.09}.target{fill:transparent}.target:hover{fill:var(--ink);opacity:.08}svg .name{fill:var(--bad);font-weight:600}
.tag{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 9px;font-size:12px;margin-left:6px;color:var(--dim)}.tag.bad{color:var(--bad);border-color:currentColor;font-weight:600}
table{border-collapse:collapse;width:100%}th{font-size:12px;text-align:left;color:var(--dim);font-weight:600;position:sticky;top:0;background:var(--card)}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line)}.n{text-align:right;white-space:nowrap}.w{overflow-wrap:normal;white-space:nowrap}.w .dim{white-space:normal}
.scroll{max-height:460px;overflow:auto}.filter{width:100%;margin:0 0 8px;padding:6px 10px;border:1px solid var(--line);border-radius:6px;background:var(--bg);color:var(--ink);font:inherit}
svg{display:block;width:100%;height:auto}svg text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:var(--dim)}
footer{max-width:1080px;margin:0 auto;padding:0 24px 40px;color:var(--dim);font-size:12px}
ul{margin:0;padding-left:20px}
@media (max-width:720px){main{padding:20px 12px}section{padding:14px 12px}.scroll table{min-width:680px}.cause,.why{grid-template-columns:1fr}.scroll-x{overflow-x:auto}.chart svg{min-width:680px}h1{font-size:21px}.figures{gap:4px 16px}}
@media print{.filter{display:none}.scroll{max-height:none;overflow:visible}section{break-inside:avoid-page}}
`

const SCRIPT = `
for (const box of document.querySelectorAll('.filter')) box.addEventListener('input', () => {
  const wanted = box.value.toLowerCase()
  for (const row of box.parentElement.querySelectorAll('tbody tr')) row.hidden = !row.textContent.toLowerCase().includes(wanted)
})
`
