/** Two names change places at once: renameat2(2) with RENAME_EXCHANGE. */

import { renameSync } from "node:fs";
import { cText, errno, errnoName, failed, libc, ptr } from "./libc.ts";

const SYS_RENAMEAT2 = process.arch === "arm64" ? 276 : 316;
const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
/** File systems and kernels that do not know it. */
const UNKNOWN = ["EINVAL", "ENOSYS", "EOPNOTSUPP"];

/** Both exist, on one file system. Where the kernel cannot exchange, `b` is missing for a moment. Throws `SysError`. */
export const exchange = (a: string, b: string): void => {
  const [from, to] = [cText(a), cText(b)];
  const answer = libc.syscall(SYS_RENAMEAT2, AT_FDCWD, ptr(from), AT_FDCWD, ptr(to), RENAME_EXCHANGE, 0);
  if (Number(answer) === 0) return;
  const code = errno();
  if (!UNKNOWN.includes(errnoName(code))) failed(`renameat2 ${b}`, code);
  const aside = `${a}.aside`;
  renameSync(b, aside);
  renameSync(a, b);
  renameSync(aside, a);
};
