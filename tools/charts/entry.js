// What the page and its script use of the three packages; everything else is left out of the bundle.
export { parse, View } from "vega";
export { compile } from "vega-lite";
export { expressionInterpreter } from "vega-interpreter";
