/** Colours for terminals: consola's palette where colour is wanted, the plain text elsewhere. */

import { colors } from "consola/utils";

export interface Palette {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly odd: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly strong: (text: string) => string;
}

const same = (text: string): string => text;

const PLAIN: Palette = { good: same, bad: same, odd: same, faint: same, strong: same };

/** A terminal without NO_COLOR (https://no-color.org) and that can do more than `dumb`. */
export const palette = (stream: { readonly isTTY?: boolean }, environment: NodeJS.ProcessEnv): Palette =>
  stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== "dumb"
    ? { good: colors.green, bad: colors.red, odd: colors.yellow, faint: colors.gray, strong: colors.bold }
    : PLAIN;

export const plainPalette = PLAIN;
