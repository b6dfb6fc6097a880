/** Whether a test runs: its own metadata, then the filters of the command line. Pure. */

import type { Meta, MetaValue } from "../events/types.ts";
import type { TestFilter } from "./protocol.ts";

const isSet = (value: MetaValue | undefined): boolean =>
  value === true || ((typeof value === "number" || typeof value === "bigint") && Number(value) !== 0);

/** The tags of a test: one string or an array of them. */
export const tagsOf = (meta: Meta): readonly string[] => {
  const { tags } = meta;
  if (typeof tags === "string") return [tags];
  return Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === "string") : [];
};

type Wanted = TestFilter["tagMeta"][number];

/** A string, or one in an array of them, is among the values of the key. */
const matches = (meta: Meta, [key, values]: Wanted): boolean => {
  const value = Object.hasOwn(meta, key) ? meta[key] : undefined;
  const own = Array.isArray(value) ? value : [value];
  return own.some((one) => typeof one === "string" && values.includes(one));
};

const flagText = (flag: string, [key, values]: Wanted): string =>
  values.map((value) => `${flag} ${key}=${value}`).join(" ");

/** Why a test is skipped, or undefined when it runs. */
export const skipReason = (name: string, meta: Meta, filter: TestFilter): string | undefined => {
  if (typeof meta.skip === "string") return `skipped: ${meta.skip}`;
  if (isSet(meta.skip)) return "skipped (meta.skip)";
  if (isSet(meta.slow) && !filter.includeSlow) return "filtered: slow tests skipped (pass --include-slow)";
  if (filter.names.length > 0 && !filter.names.includes(name))
    return `filtered: ${filter.names.map((wanted) => `--test ${wanted}`).join(" ")}`;
  const tags = tagsOf(meta);
  const unwanted = filter.noTags.find((tag) => tags.includes(tag));
  if (unwanted !== undefined) return `filtered: --no-tag ${unwanted}`;
  if (filter.tags.length > 0 && !filter.tags.some((tag) => tags.includes(tag)))
    return `filtered: ${filter.tags.map((tag) => `--tag ${tag}`).join(" ")}`;
  const refused = filter.noTagMeta.find((unwanted) => matches(meta, unwanted));
  if (refused !== undefined) return `filtered: ${flagText("--no-tag-meta", refused)}`;
  const missing = filter.tagMeta.find((wanted) => !matches(meta, wanted));
  return missing === undefined ? undefined : `filtered: ${flagText("--tag-meta", missing)}`;
};
