// The body of a request must be a JSON object with the required fields.

import { configuration as configured } from "osier-plugin";
import { type BodyVerdict, decode, get, needBody, pass, proceed, requestFilter, respond } from "osier-plugin/filter";

let required: string[] = [];

export const configuration = configured((config: { required: string[] }) => {
  required = config.required;
});

export const request = requestFilter({
  onHead(_, headers) {
    return get(headers, "content-type")?.startsWith("application/json") ? needBody(64 << 10) : proceed();
  },
  onBody(_exchange, _headers, body) {
    const fields = parsed(body);
    if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return unfit("the body is no JSON object");
    const missing = required.find((name) => !(name in fields));
    return missing === undefined ? pass({ headers: { "x-checked": "json" } }) : unfit(`the body has no field ${missing}`);
  },
});

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(decode(body));
  } catch {
    return undefined;
  }
}

function unfit(reason: string): BodyVerdict {
  return respond(422, { reason, body: `${reason}\n` });
}
