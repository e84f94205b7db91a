/** What all charts look like; lengths in pixels. */
export const style = {
  font: "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif",
  ink: '#1f2937',
  quiet: '#6b7280',
  grid: '#e5e7eb',
  faintGrid: '#f3f4f6',
  paper: '#ffffff',
  titleSize: 17,
  labelSize: 13,
  tickSize: 12,
} as const;

/** Colours of series, told apart by colour-blind readers too (after Okabe and Ito), in the order of use. */
export const seriesColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const;
