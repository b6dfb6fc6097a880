/** How a command says that something has failed. */

import { renderError } from "../errors/render.ts";
import { visible } from "../report/text.ts";

/** On standard error; an error may quote a guest, whose escape sequences are shown as text. */
export const complain = (error: unknown, who = "provium"): void =>
  void process.stderr.write(`${who}: ${visible(renderError(error))}\n`);
