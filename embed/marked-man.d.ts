declare module "marked-man" {
  import type { MarkedExtension } from "marked";

  /** An extension of marked that writes roff, with the header's fields beside it. */
  const extension: MarkedExtension & {
    name: string | null;
    section: string | null;
    manual: string | null;
    manVersion: string | null;
    date: number | string;
  };
  export default extension;
}
