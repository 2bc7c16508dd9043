// A plugin without its own text: that is put in place of `room` after the component was made, and read when an instance is first asked.
{{imports}}
const room = "\u0001osier:\u0002".repeat({{marks}});

const offered = { {{offered}} };

let answers;

function plugin() {
  if (answers === undefined) {
    const module = { exports: {} };
    const given = (name) => {
      if (!(name in offered)) throw new Error(`${name} is not imported: name it in wit/plugin.wit`);
      return offered[name];
    };
    // The text is UTF-8, a character for each byte, and blanks.
    const bytes = room.trimEnd();
    const text = /[^\0-\x7f]/.test(bytes) ? decodeURIComponent(escape(bytes)) : bytes;
    new Function("module", "exports", "require", text)(module, module.exports, given);
    for (const name of [{{names}}]) {
      if (!(name in module.exports)) throw new Error(`${name} is not exported, which wit/plugin.wit says`);
    }
    answers = module.exports;
  }
  return answers;
}

function configured(...given) {
  try {
    plugin();
  } catch (error) {
    throw error instanceof Error ? error.message : String(error);
  }
  return plugin().configuration.configure(...given);
}
{{exports}}
