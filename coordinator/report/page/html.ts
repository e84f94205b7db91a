import { escapeText } from '../charts/svg.js';

/** Markup that may stand in a page as it is. */
export interface Html {
  readonly markup: string;
}

type Value = string | number | Html | readonly Html[];

/**
 * A template whose texts are escaped, in elements and in double-quoted attributes alike; `Html` goes in as it
 * is.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const markup = parts.map((part, index) => part + (index < values.length ? markupOf(values[index]!) : ''));
  return { markup: markup.join('') };
}

/** For markup that is ours throughout: drawings and style sheets. */
export function trusted(markup: string): Html {
  return { markup };
}

export const nothing: Html = { markup: '' };

function markupOf(value: Value): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escapeText(value);
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('');
}
