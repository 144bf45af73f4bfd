// The company's colours. Everything is checked before it becomes a style, and made readable: the
// colours of texts are moved towards black or white until they reach WCAG's contrast.
import type { Theme } from './wire';

type Rgb = readonly [number, number, number];

/** WCAG 2.2, success criterion 1.4.3. */
const READABLE = 4.5;
/** The papers of the style sheet, light and dark. */
const PAPER = { light: [255, 255, 255], dark: [24, 33, 48] } as const satisfies Record<string, Rgb>;

const parse = (text: string): Rgb | undefined => {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  if (!hex) return undefined;
  const part = (at: number) => Number.parseInt(hex[at] ?? '0', 16);
  return [part(1), part(2), part(3)];
};

const print = (colour: Rgb) => `rgb(${colour.map((part) => Math.round(part)).join(' ')})`;

/** WCAG 2.2, definition of relative luminance. */
const luminance = (colour: Rgb) => {
  const linear = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
};

const contrast = (a: Rgb, b: Rgb) => {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
};

const mix = (from: Rgb, to: Rgb, share: number): Rgb => [
  from[0] + (to[0] - from[0]) * share,
  from[1] + (to[1] - from[1]) * share,
  from[2] + (to[2] - from[2]) * share,
];

const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];

/** The nearest shade of a colour that can be read on this paper. */
const readable = (colour: Rgb, paper: Rgb) => {
  const towards = luminance(paper) > 0.18 ? BLACK : WHITE;
  let shade = colour;
  for (let share = 0; share <= 1 && contrast(shade, paper) < READABLE; share += 0.05) {
    shade = mix(colour, towards, share);
  }
  return shade;
};

/** Gives the page its company's looks. */
export const wear = (theme: Theme) => {
  const root = document.documentElement;
  const accent = parse(theme.accent ?? '');
  if (theme.appearance === 'light' || theme.appearance === 'dark') {
    root.dataset['appearance'] = theme.appearance;
  } else {
    delete root.dataset['appearance'];
  }
  for (const shade of ['light', 'dark'] as const) {
    const set = (name: string, colour: Rgb | undefined) => {
      if (colour) root.style.setProperty(`--${shade}-${name}`, print(colour));
      else root.style.removeProperty(`--${shade}-${name}`);
    };
    const strong = accent && readable(accent, PAPER[shade]);
    set('strong', strong);
    // On a readable shade of the accent, the paper itself is readable.
    set('on-strong', strong && PAPER[shade]);
    set('strong-over', strong && mix(strong, shade === 'light' ? BLACK : WHITE, 0.15));
  }
  const radius = theme.radius;
  if (typeof radius === 'number' && radius >= 0 && radius <= 24) {
    root.style.setProperty('--radius', `${Math.round(radius)}px`);
  }
};

/** The company's picture, if its address may be loaded. */
export const logo = (theme: Theme): string | undefined => {
  try {
    const url = new URL(theme.logo_url ?? '');
    const plain = url.protocol === 'https:' || ['localhost', '127.0.0.1'].includes(url.hostname);
    return plain && url.username === '' && url.password === '' ? url.href : undefined;
  } catch {
    return undefined;
  }
};

/** A vendor's page or the company's own address, if it is one of the web. */
export const webUrl = (text: string | null | undefined): string | undefined => {
  try {
    const url = new URL(text ?? '');
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : undefined;
  } catch {
    return undefined;
  }
};
