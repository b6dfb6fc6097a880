/**
 * What a guest's refusal looks like in words. Pure; the texts of a guest are shown, never interpreted.
 */

import { ApiError, GuestError } from "../errors/errors.ts";
import { describe, errnoName } from "../sys/libc.ts";
import { ACTOR_IO, ACTOR_MAIN, MAX_FRAME_BYTES, type Payload } from "./messages.ts";

const LONGEST_TEXT = 400;

/** Guest bytes as one printable line of bounded length. */
export const printable = (bytes: Uint8Array): string => {
  const text = new TextDecoder().decode(bytes.subarray(0, LONGEST_TEXT * 4));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced here
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
  return clean.length > LONGEST_TEXT ? `${clean.slice(0, LONGEST_TEXT)}…` : clean;
};

/** "the agent", "the main task", "worker 3". */
export const actorName = (actor: number): string => {
  if (actor === ACTOR_IO) return "the agent";
  return actor === ACTOR_MAIN ? "the main task" : `worker ${actor}`;
};

/** What a call was about: "read_file", and the path, command or number it was given. */
export interface Subject {
  readonly call: string;
  readonly object?: Uint8Array | string | undefined;
}

/** "syscall 34", "open `/etc/x`". */
export const subjectText = ({ call, object }: Subject): string => {
  if (object === undefined) return call;
  return `${call} \`${typeof object === "string" ? object : printable(object)}\``;
};

/**
 * An ERROR answer as the error that a test sees, as in ``open `/etc/x`: No such file or directory (ENOENT)``.
 * The words for an errno are the host's; a refusal of the agent's own (errno 0) keeps the agent's message.
 */
export const refusal = (error: Payload<"ERROR">, actor: number, subject: Subject): GuestError => {
  const errno = Number(error.errno);
  const operation = error.operation.byteLength > 0 ? printable(error.operation) : subject.call;
  const object =
    typeof subject.object === "string" ? subject.object : subject.object && printable(subject.object);
  const what = object === undefined ? operation : `${operation} \`${object}\``;
  const why =
    errno > 0
      ? `${describe(errno)} (${errnoName(errno)})`
      : printable(error.message) || "refused by the agent";
  // The agent's own words are added where they say more than the errno and the object.
  const words = printable(error.message);
  const own = words.endsWith(`: ${describe(errno)}`) ? words.slice(0, -describe(errno).length - 2) : words;
  const known =
    own === "" || own === describe(errno) || own === operation || (object && own.includes(object));
  const more = errno > 0 && !known ? `: ${own}` : "";
  const text = aboutAnother(error) ?? `${what}: ${why}${more}`;
  return new GuestError(text, errno, { where: `${actorName(actor)}: ${subject.call}` });
};

/** What is about another object than the call's own: the directory that a command should start in. */
const aboutAnother = (error: Payload<"ERROR">): string | undefined => {
  const errno = Number(error.errno);
  if (errno === 0 || printable(error.operation) !== "chdir") return undefined;
  return `chdir: ${printable(error.message)} (${errnoName(errno)})`;
};

/** A request that the agent would take for nonsense and end the session over. */
export const tooLarge = (size: number, { call }: Subject): ApiError =>
  new ApiError(
    `${call}: the request has ${size} bytes; a message to the guest holds at most ${MAX_FRAME_BYTES}`,
  );

const SIGNALS: Readonly<Record<number, string>> = {
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  15: "SIGTERM",
  31: "SIGSYS",
};

/** What a call sees whose task ended under it. */
export const taskGone = (gone: Payload<"TASK_GONE">, subject: Subject): GuestError => {
  const actor = Number(gone.actor);
  const code = Number(gone.code);
  return new GuestError(`${subject.call}: ${actorName(actor)} ${endOf(Number(gone.how), code)}`, 0, {
    where: `${actorName(actor)}: ${subject.call}`,
    hint: "what that task had changed for itself (credentials, directory, open descriptors) is gone with it",
  });
};

const endOf = (how: number, code: number): string => {
  if (how === 2) return "has replaced itself (execve) or closed the agent's descriptors";
  if (how !== 1) return `exited with status ${code}`;
  return `was killed by signal ${code}${SIGNALS[code] === undefined ? "" : ` (${SIGNALS[code]})`}`;
};

/** What a call to a worker sees that was ended by order. */
export const workerEnded = (worker: number, subject: Subject): GuestError =>
  new GuestError(`${subject.call}: ${actorName(worker)} was ended before`, 0, {
    where: `${actorName(worker)}: ${subject.call}`,
  });
