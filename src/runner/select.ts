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
  return undefined;
};
