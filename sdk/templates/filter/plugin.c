// The body of a request must be a JSON object with the required fields.

#include <osier/filter.h>

static const osier_json *required;

static const char *configure(const osier_json *config) {
  required = osier_json_get(config, "required");
  return NULL;
}
OSIER_CONFIGURATION(configure)

static osier_head_verdict on_head(const osier_exchange *exchange, osier_headers headers) {
  (void)exchange;
  const osier_string *type = osier_header_get(headers, "content-type");
  return type && osier_begins(*type, "application/json") ? osier_need_body(64 << 10) : osier_proceed();
}

static osier_body_verdict unfit(osier_string reason) {
  return osier_answer(osier_reply_of(422, reason, osier_textf("%.*s\n", OSIER_PRINT(reason))));
}

static bool has(const osier_json *fields, osier_string name) {
  for (const osier_json *field = osier_json_first(fields); field; field = field->next) {
    if (osier_same(field->name, name)) return true;
  }
  return false;
}

static osier_body_verdict on_body(const osier_exchange *exchange, osier_headers headers, osier_bytes body) {
  (void)exchange, (void)headers;
  osier_json *fields = osier_json_parse(body.ptr, body.len);
  if (!fields || fields->kind != OSIER_JSON_OBJECT) {
    osier_json_free(fields);
    return unfit(osier_text("the body is no JSON object"));
  }
  const osier_json *missing = osier_json_first(required);
  while (missing && has(fields, osier_json_text(missing))) missing = missing->next;
  osier_json_free(fields);
  if (missing) return unfit(osier_textf("the body has no field %.*s", OSIER_PRINT(osier_json_text(missing))));
  osier_body_verdict verdict = osier_pass();
  OSIER_CHANGE(&verdict, osier_set("x-checked", osier_text("json")));
  return verdict;
}
OSIER_REQUEST_FILTER(on_head, on_body)
