/** An element or, with the name `#text`, a text; entities are decoded. */
export interface HtmlNode {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: HtmlNode[];
  readonly text: string;
}

const voidElements = new Set(['meta', 'img', 'br', 'hr', 'link', 'input', 'wbr']);
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };
const tag = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?: [a-zA-Z][a-zA-Z0-9-]*(?:="[^"<]*")?)*)(\/?)>/y;

/** Reads a page that keeps stricter rules than HTML asks for; throws at the first place where it does not. */
export function parseStrictHtml(page: string): HtmlNode {
  const doctype = '<!DOCTYPE html>';
  if (!page.startsWith(doctype)) throw new Error('no doctype');
  const root: HtmlNode = { name: '#root', attributes: new Map(), children: [], text: '' };
  const open = [root];
  let at = doctype.length;
  while (at < page.length) {
    const parent = open.at(-1)!;
    const end = parent.name === 'style' ? page.indexOf('</style>', at) : page.indexOf('<', at);
    const stop = end < 0 ? page.length : end;
    if (stop > at) {
      const raw = page.slice(at, stop);
      const text = parent.name === 'style' ? raw : decode(raw);
      parent.children.push({ name: '#text', attributes: new Map(), children: [], text });
    }
    if (stop === page.length) break;
    tag.lastIndex = stop;
    const found = tag.exec(page);
    if (found === null) throw new Error(`no tag at: ${page.slice(stop, stop + 80)}`);
    at = tag.lastIndex;
    const [, slash, name, attributes, closed] = found as unknown as [string, string, string, string, string];
    if (slash === '/') {
      if (parent.name !== name) throw new Error(`</${name}> closes <${parent.name}>`);
      open.pop();
      continue;
    }
    const inSvg = name === 'svg' || open.some((node) => node.name === 'svg');
    if (closed === '/' && !inSvg) throw new Error(`<${name}/> closes itself outside of SVG`);
    const node: HtmlNode = { name, attributes: readAttributes(attributes), children: [], text: '' };
    parent.children.push(node);
    if (closed !== '/' && !voidElements.has(name)) open.push(node);
  }
  if (open.length > 1) throw new Error(`<${open.at(-1)!.name}> is not closed`);
  return root;
}

/** All elements below `node` with that name, in order. */
export function findAll(node: HtmlNode, name: string): HtmlNode[] {
  return node.children.flatMap((child) => [...(child.name === name ? [child] : []), ...findAll(child, name)]);
}

export function textOf(node: HtmlNode): string {
  return node.name === '#text' ? node.text : node.children.map(textOf).join('');
}

function readAttributes(text: string): Map<string, string> {
  const found = [...text.matchAll(/ ([a-zA-Z][a-zA-Z0-9-]*)(?:="([^"]*)")?/g)];
  const attributes = new Map(found.map(([, name, value]) => [name!, decode(value ?? '')]));
  if (attributes.size < found.length) throw new Error(`an attribute twice:${text}`);
  return attributes;
}

function decode(text: string): string {
  return text.replace(/&(\w*)(;?)/g, (whole, name: string, end: string) => {
    const character = entities[name];
    if (character === undefined || end !== ';') throw new Error(`a bare ampersand: ${whole}`);
    return character;
  });
}
