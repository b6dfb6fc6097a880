/** What `make compat` tries: QEMUs and kernels of Debian's suites. The tables of docs/compatibility.md have a row for each. Pure. */

/** From the oldest that the mirrors still have to the newest. */
const SUITES = ["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"] as const;
export type Suite = (typeof SUITES)[number];

/** What stands before `amd64` in the name of the package. */
export const FLAVOURS = { cloud: "cloud-", generic: "", rt: "rt-" } as const;
export type Flavour = keyof typeof FLAVOURS;

export type Cell =
  | { readonly kind: "qemu"; readonly suite: Suite }
  | { readonly kind: "kernel"; readonly suite: Suite; readonly flavour: Flavour };

export const CELLS: readonly Cell[] = [
  ...SUITES.map((suite) => ({ kind: "qemu", suite }) as const),
  ...SUITES.flatMap((suite) =>
    (Object.keys(FLAVOURS) as Flavour[]).map((flavour) => ({ kind: "kernel", suite, flavour }) as const),
  ),
];

/** "qemu sid", "kernel trixie rt": what ONLY chooses by, and how the rows of the tables begin. */
export const cellName = (cell: Cell): string =>
  [cell.kind, cell.suite, ...(cell.kind === "kernel" ? [cell.flavour] : [])].join(" ");

export const packagesOf = (cell: Cell): readonly string[] =>
  cell.kind === "qemu" ? ["qemu-system-x86", "qemu-utils"] : [`linux-image-${FLAVOURS[cell.flavour]}amd64`];

/** Of a table's row everything that does not come out of a run. */
export const rowStart = (cell: Cell): string => `| ${cellName(cell).replaceAll(" ", " | ")} |`;
