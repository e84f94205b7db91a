import { seriesColors, style } from '../charts/svg.js';

/** Charts are drawn in the colours of white paper; these rules repaint them in the page's. */
const repainted: readonly (readonly [drawn: string, painted: string])[] = [
  [style.ink, 'var(--ink)'],
  [style.quiet, 'var(--quiet)'],
  [style.grid, 'var(--line)'],
  [style.faintGrid, 'var(--faint)'],
  [style.paper, 'var(--panel)'],
  ...seriesColors.map((color, index) => [color, `var(--series-${index})`] as const),
];

const lightSeries = seriesColors.map((color, index) => `--series-${index}: ${color};`).join(' ');
const darkSeries = ['#4ea8e6', '#ff8b4a', '#35c79c', '#e39cc3', '#f2b73f', '#86ccf3']
  .map((color, index) => `--series-${index}: ${color};`)
  .join(' ');

export const styleSheet = `
:root { color-scheme: light dark; --ground: #fafaf8; --panel: #ffffff; --ink: #1d2126; --quiet: #68707a; --line: #e4e5e1; --faint: #f3f3f0;
  --right: 0 100 170; --wrong: 213 94 0; --right-ink: #005f9e; --wrong-ink: #b34a00; --on-deep: #ffffff; ${lightSeries} }
@media (prefers-color-scheme: dark) {
  :root { --ground: #121416; --panel: #1a1d20; --ink: #e6e8ea; --quiet: #979fa8; --line: #2d3136; --faint: #212529;
    --right: 78 168 230; --wrong: 255 139 74; --right-ink: #6cbbf2; --wrong-ink: #ff9c63; --on-deep: #0d1013; ${darkSeries} }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 1180px; padding: 3.5rem 2rem 5rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; }
h1 { margin: 0; font-size: clamp(1.9rem, 4.5vw, 2.9rem); line-height: 1.1; letter-spacing: -.025em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .4rem; font-size: 1.4rem; letter-spacing: -.012em; }
section { margin-top: 4rem; }
.over { margin: 0 0 .5rem; color: var(--quiet); font-size: .8rem; letter-spacing: .09em; text-transform: uppercase; }
.lead { margin: .8rem 0 0; max-width: 44em; font-size: 1.12rem; color: var(--quiet); }
.note { margin: 0 0 1.2rem; max-width: 46em; color: var(--quiet); font-size: .94rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.headline { display: flex; flex-wrap: wrap; gap: 1rem 3.2rem; margin: 2.2rem 0 0; padding: 1.5rem 0; border: solid var(--line); border-width: 1px 0; }
.headline dt { color: var(--quiet); font-size: .85rem; }
.headline dd { margin: 0; font-size: 1.75rem; font-weight: 640; letter-spacing: -.02em; line-height: 1.25; font-variant-numeric: tabular-nums; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; margin: 1.1rem 0 0; padding: 0; list-style: none; font-size: .94rem; }
a { color: var(--right-ink); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; text-underline-offset: .2em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1.2rem; margin-top: 1rem; }
.chart { padding: .6rem .8rem .4rem 0; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
.chart svg { display: block; width: 100%; height: auto; font-family: inherit; }
${repainted.map(([drawn, painted]) => `.chart [fill="${drawn}"] { fill: ${painted}; } .chart [stroke="${drawn}"] { stroke: ${painted}; }`).join('\n')}
details { margin-top: 1.4rem; }
summary { width: fit-content; cursor: pointer; color: var(--quiet); font-size: .94rem; }
details table { margin-top: .6rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--right-ink); outline-offset: 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.plain { min-width: min(100%, 36rem); font-size: .94rem; }
.plain th, .plain td { padding: .42rem .9rem; border-bottom: 1px solid var(--line); text-align: left; font-weight: 400; }
.plain th:first-child { padding-left: 0; }
.plain thead th { color: var(--quiet); font-size: .84rem; vertical-align: bottom; }
.plain tbody th { font-weight: 560; }
.plain .n { text-align: right; }
.plain tbody tr:hover { background: color-mix(in srgb, var(--ink) 4%, transparent); }
.plain .bar { min-width: 8.5rem; padding-bottom: .7rem; background: linear-gradient(rgb(var(--tone) / .75) 0 0) .9rem calc(100% - .25rem) / calc(var(--w) * .8) 3px no-repeat; }
.bar.right { --tone: var(--right); }
.bar.wrong { --tone: var(--wrong); }
.scores { width: 100%; }
.matrix { margin: .5rem 0; border-collapse: separate; border-spacing: 1px; line-height: 1; }
.matrix th { font-weight: 450; white-space: nowrap; }
.matrix tbody th { position: sticky; left: 0; z-index: 1; padding: 0 .7em 0 0; background: var(--ground); text-align: right; }
.matrix thead th { padding: 0 0 .5em; vertical-align: bottom; }
.matrix thead span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); }
.matrix tbody td { width: var(--cell); min-width: var(--cell); height: var(--cell); padding: 0; text-align: center; border-radius: 3px;
  background: rgb(var(--tone, 128 128 128) / var(--a, .06)); }
.matrix .right { --tone: var(--right); }
.matrix .wrong { --tone: var(--wrong); }
.matrix .deep { color: var(--on-deep); }
.matrix .none { color: transparent; }
.matrix tbody tr:hover th { color: var(--right-ink); }
.roomy { --cell: 3.1rem; font-size: .95rem; }
.close { --cell: 2rem; font-size: .85rem; }
.dense { --cell: 1.5rem; font-size: .72rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 1.6rem 1.2rem; margin: 0; padding: 0; list-style: none; }
figure { margin: 0; }
figure img, .missing { display: block; width: 100%; height: auto; aspect-ratio: 1; border-radius: 8px; background: var(--line); }
.missing { display: grid; place-items: center; padding: 1.5rem; color: var(--quiet); font-size: .85rem; text-align: center; }
figcaption { margin-top: .5rem; font-size: .88rem; line-height: 1.4; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
figcaption span { white-space: nowrap; }
figcaption small { display: block; color: var(--quiet); font-size: .76rem; }
b.wrong { color: var(--wrong-ink); }
b.right { color: var(--right-ink); }
#recipe ~ dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 0 2.5rem; margin: 1.6rem 0 0; font-size: .94rem; }
#recipe ~ dl div { display: flex; gap: 1rem; padding: .42rem 0; border-bottom: 1px solid var(--line); }
#recipe ~ dl dt { flex: 0 0 9rem; color: var(--quiet); }
#recipe ~ dl dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 600px) { body { padding: 2rem 1.1rem 3rem; } section { margin-top: 3rem; } }
@media print { body { padding: 0; max-width: none; } nav { display: none; } section { break-inside: avoid-page; } }
`;
