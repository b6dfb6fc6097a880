/** Coverage as text, JSON and HTML. */

import type { Coverage, SectionCoverage } from "./coverage.ts";
import { harmlessJson, oneLine, visible } from "./text.ts";

const counted = (coverage: Coverage): string => {
  const { sections, by } = coverage;
  const tested = sections.filter(({ status }) => status !== "untested").length;
  const failed = sections.filter(({ status }) => status === "failed").length;
  const parts = [`${tested} of ${sections.length} section(s) tested`];
  if (failed > 0) parts.push(`${failed} with failures`);
  if (coverage.without > 0) parts.push(`${coverage.without} test(s) name none`);
  return `coverage by ${oneLine(by)}: ${parts.join(", ")}`;
};

const remark = ({ tests, listed }: SectionCoverage): string => {
  const failed = tests.filter(({ status }) => status === "failed").length;
  const count =
    tests.length === 0 ? "" : failed > 0 ? `${failed} of ${tests.length} failed` : `${tests.length} passed`;
  return [count, listed ? "" : "not in the list of sections"].filter((part) => part !== "").join(", ");
};

const LABEL = { passed: "PASS", failed: "FAIL", untested: "----" } as const;

/** A line a section; of a section with failures the tests that failed below it. */
export const coverageText = (coverage: Coverage): string => {
  const width = Math.max(0, ...coverage.sections.map(({ id }) => Bun.stringWidth(oneLine(id))));
  const lines = coverage.sections.flatMap((section) => {
    const id = oneLine(section.id);
    const pad = " ".repeat(width - Bun.stringWidth(id));
    const title = section.title === "" ? "" : `  ${oneLine(section.title)}`;
    const said = remark(section);
    const failed = section.tests.filter(({ status }) => status === "failed");
    return [
      `${LABEL[section.status]} ${id}${said === "" && title === "" ? "" : pad}${title}${said === "" ? "" : `  (${said})`}`,
      ...failed.map(({ path, name }) => `         FAIL ${oneLine(path)}: ${oneLine(name)}`),
    ];
  });
  const run = coverage.run ?? "the events end before the run did";
  return `${[...lines, "", counted(coverage), run].join("\n")}\n`;
};

/** One JSON object. */
export const coverageJson = (coverage: Coverage): string =>
  `${harmlessJson(JSON.stringify({ ...coverage, run: coverage.run ?? null }, undefined, 2))}\n`;

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const html = (text: string): string => visible(text).replace(/[&<>"]/g, (char) => ENTITIES[char] as string);

const STYLE = `:root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:1.5rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8886;padding:.25rem .5rem;text-align:left;vertical-align:top}
.passed{color:light-dark(#2e8540,#57ab6a)}.failed{color:light-dark(#c4291c,#f0665a)}.untested{color:#8a8f98}`;

/** One page that needs nothing else; it has no script. */
export const coverageHtml = (coverage: Coverage): string => {
  const rows = coverage.sections.map((section) => {
    const tests = section.tests
      .map(({ path, name, status }) => `<div class="${status}">${html(path)}: ${html(name)}</div>`)
      .join("");
    const said = [section.status, remark(section)].filter((part) => part !== "").join(": ");
    return `<tr id="${html(section.id)}"><td>${html(section.id)}</td><td>${html(section.title)}</td><td class="${section.status}">${html(said)}</td><td>${tests}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Coverage by ${html(coverage.by)}</title><style>${STYLE}</style></head><body>
<h1>${html(counted(coverage))}</h1><p>${html(coverage.run ?? "the events end before the run did")}</p>
<table><tr><th>section</th><th>title</th><th>outcome</th><th>tests</th></tr>
${rows.join("\n")}
</table></body></html>
`;
};
