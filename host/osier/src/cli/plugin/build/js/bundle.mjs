// Bundles the plugin once for each line of standard input, and answers each with a line of JSON. What is imported by the name of an interface is
// left to the component.
import { createInterface } from "node:readline";
import { rolldown } from "rolldown";

const options = {
  input: "src/plugin.ts",
  external: /^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*\//,
  platform: "browser",
  logLevel: "warn",
};

async function answer() {
  const bundle = await rolldown(options);
  try {
    const { output } = await bundle.generate({ format: "cjs" });
    return output.length === 1 ? { text: output[0].code } : { unfit: "the sources make more than one module" };
  } finally {
    await bundle.close();
  }
}

for await (const _ of createInterface({ input: process.stdin })) {
  const told = await answer().catch((error) => ({ fault: String(error?.message ?? error) }));
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
