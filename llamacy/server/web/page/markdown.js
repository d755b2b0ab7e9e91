// The part of Markdown that models write, as elements. Every piece of text becomes a text node; links open only web addresses.

import { copy, h, iconButton } from './dom.js';

const INLINE = new RegExp([
  /(`+)(.+?)\1/,                                                    // code
  /\*\*(?=\S)(.+?)\*\*/,                                            // strong
  /(?<!\w)__(?=\S)(.+?)__(?!\w)/,                                   // strong, the other way
  /(?<!\w)\*(?=\S)([^*\n]+?)\*(?!\w)/,                              // emphasis
  /(?<!\w)_(?=\S)([^_\n]+?)_(?!\w)/,                                // emphasis, the other way
  /~~(.+?)~~/,                                                      // deleted
  /\[([^[\]\n]+)\]\(([^()\s]+(?:\([^()\s]*\))?)\)/,                 // [label](target)
  /(https?:\/\/[^\s<>"')\]]+[^\s<>"')\].,;:!?])/,                   // an address
].map((part) => part.source).join('|'));
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const MOST_DEPTH = 8;

/** Nodes for a text. Models with a SentencePiece vocabulary begin an answer with a blank, which is no part of it. */
export function markdown(text) {
  return blocks(text.replace(/^ (?=\S)/, '').replace(/\r\n?/g, '\n').split('\n'), 0);
}

function blocks(rows, depth) {
  const out = [];
  let at = 0;
  while (at < rows.length) {
    const row = rows[at];
    const fence = row.match(/^\s{0,3}(```+|~~~+)\s*([^\s`]*)/);
    const heading = row.match(/^(#{1,6})\s+(.*?)\s*#*$/);
    if (!row.trim()) {
      at++;
    } else if (fence) {
      const end = rows.findIndex((line, i) => i > at && line.trim().startsWith(fence[1]) && !line.trim().slice(fence[1].length).trim());
      out.push(code(rows.slice(at + 1, end < 0 ? rows.length : end).join('\n'), fence[2]));
      at = end < 0 ? rows.length : end + 1;
    } else if (heading) {
      out.push(h(`h${Math.min(6, heading[1].length + 2)}`, {}, ...inline(heading[2])));
      at++;
    } else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(row)) {
      out.push(h('hr'));
      at++;
    } else if (row.startsWith('>') && depth < MOST_DEPTH) {
      const end = until(rows, at, (line) => !line.startsWith('>'));
      out.push(h('blockquote', {}, ...blocks(rows.slice(at, end).map((line) => line.replace(/^> ?/, '')), depth + 1)));
      at = end;
    } else if (ITEM.test(row) && depth < MOST_DEPTH) {
      const end = endOfList(rows, at);
      out.push(list(rows.slice(at, end), depth));
      at = end;
    } else if (row.includes('|') && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(rows[at + 1] ?? '')) {
      const end = until(rows, at + 2, (line) => !line.includes('|'));
      out.push(table(rows.slice(at, end)));
      at = end;
    } else {
      const end = until(rows, at + 1, (line) => !line.trim() || /^\s{0,3}(```|~~~|#{1,6}\s|>)/.test(line) || ITEM.test(line));
      out.push(h('p', {}, ...inline(rows.slice(at, end).join('\n'))));
      at = end;
    }
  }
  return out;
}

function until(rows, start, stops) {
  let at = start;
  while (at < rows.length && !stops(rows[at], at)) at++;
  return Math.max(at, start);
}

const isOrdered = (row) => /^\s*\d/.test(row);

/** The row after a list: its items, what is indented below them, and blank rows between them. */
function endOfList(rows, start) {
  const ordered = isOrdered(rows[start]);
  const belongs = (row) => /^\s{2,}\S/.test(row) || (ITEM.test(row) && isOrdered(row) === ordered);
  return until(rows, start, (row, at) => !belongs(row) && !(row.trim() === '' && belongs(rows[at + 1] ?? '')));
}

function list(rows, depth) {
  const first = rows[0].match(ITEM);
  const ordered = /\d/.test(first[2]);
  const node = h(ordered ? 'ol' : 'ul', ordered ? { start: parseInt(first[2], 10) } : {});
  let item = null;
  const close = () => item && node.append(h('li', {}, ...tight(blocks(item, depth + 1))));
  for (const row of rows) {
    const found = row.match(ITEM);
    if (found && found[1].length <= first[1].length) {
      close();
      item = [found[3]];
    } else {
      item.push(row.slice(Math.min(first[1].length + 2, row.length - row.trimStart().length)));
    }
  }
  close();
  return node;
}

/** An item of one paragraph is shown without a paragraph's space. */
function tight(nodes) {
  return nodes[0]?.tagName === 'P' ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes;
}

function table(rows) {
  const cells = (row) => row.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
  const line = (row, tag) => h('tr', {}, ...cells(row).map((cell) => h(tag, {}, ...inline(cell))));
  return h('div', { class: 'scroll' }, h('table', {}, h('thead', {}, line(rows[0], 'th')),
                                         h('tbody', {}, ...rows.slice(2).map((row) => line(row, 'td')))));
}

function code(text, language) {
  const button = iconButton('copy', 'Copy the code', () => copy(text, button));
  return h('div', { class: 'code' },
           h('div', { class: 'code-head' }, h('span', { text: language }), button),
           h('pre', { tabindex: 0 }, h('code', { text })));
}

function inline(text, depth = 0) {
  const out = [];
  let rest = text;
  while (rest) {
    const found = depth < MOST_DEPTH ? rest.match(INLINE) : null;
    if (!found) break;
    out.push(rest.slice(0, found.index), element(found, depth));
    rest = rest.slice(found.index + found[0].length);
  }
  return [...out, rest].filter((part) => part !== '');
}

function element(found, depth) {
  const [whole, , codeText, strong, strong2, em, em2, del, label, target, address] = found;
  if (codeText !== undefined) return h('code', { text: codeText });
  if (strong ?? strong2) return h('strong', {}, ...inline(strong ?? strong2, depth + 1));
  if (em ?? em2) return h('em', {}, ...inline(em ?? em2, depth + 1));
  if (del) return h('del', {}, ...inline(del, depth + 1));
  if (address) return link(address, [address]);
  return link(target, inline(label, depth + 1)) ?? whole;
}

function link(target, children) {
  if (!/^(https?:\/\/|mailto:)/i.test(target)) return null;
  return h('a', { href: target, target: '_blank', rel: 'noopener noreferrer' }, ...children);
}
