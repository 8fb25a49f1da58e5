// Makes charts.js, which holds vega, vega-lite and vega-interpreter, and THIRD_PARTY.txt, the licences of what is in it.
//
//     node bundle.mjs FOLDER
//
// The same sources give the same bytes: no date, no path, packages in the order of their names.
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const UNUSED = [
  "vega-crossfilter", "vega-force", "vega-geo", "vega-hierarchy", "vega-label", "vega-regression", "vega-voronoi",
  "vega-wordcloud",
];
const here = fileURLToPath(new URL(".", import.meta.url));
const folder = process.argv[2];

// A function, so that a page that is opened compiles nothing of it until a chart is drawn.
const made = await build({
  absWorkingDir: here,
  entryPoints: ["entry.js"],
  alias: Object.fromEntries(UNUSED.map((name) => [name, "./absent.js"])),
  bundle: true,
  minify: true,
  charset: "ascii",
  legalComments: "none",
  format: "iife",
  globalName: "charts",
  target: "es2020",
  banner: { js: "function loadCharts(){" },
  footer: { js: "return charts}" },
  metafile: true,
  write: false,
  logLevel: "warning",
});
const text = made.outputFiles[0].text;
if (/<\/script|<!--/i.test(text)) throw new Error("charts.js: holds what would end the script element that it is put in");

const [output] = Object.values(made.metafile.outputs);
const inside = Object.entries(output.inputs)
  .filter(([path, { bytesInOutput }]) => path.startsWith("node_modules/") && bytesInOutput > 0)
  .map(([path]) => path.split("/").slice(1, path.startsWith("node_modules/@") ? 3 : 2).join("/"));

const parts = ["charts.js holds the following packages, each under its licence.\n"];
for (const name of [...new Set(inside)].sort()) {
  const home = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(home, "package.json"), "utf8"));
  const file = (await readdir(home)).sort().find((each) => /^licen[cs]e/i.test(each));
  if (!file) throw new Error(`${name}: has no licence text`);
  const terms = (await readFile(join(home, file), "utf8")).replaceAll("\r\n", "\n").trim();
  parts.push(`${"=".repeat(78)}\n${name} ${version} (${license})\n\n${terms}\n`);
}
await writeFile(join(folder, "charts.js"), text);
await writeFile(join(folder, "THIRD_PARTY.txt"), parts.join("\n"));
