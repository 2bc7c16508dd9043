// The body of a request must be a JSON object with the required fields: hook filter.

#include <osier/filter.h>

#include "settings.h"

static osier_head_verdict on_head(const osier_exchange *exchange, osier_headers headers) {
  (void)exchange;
  const osier_string *type = osier_header_get(headers, "content-type");
  return type && osier_begins(*type, "application/json") ? osier_need_body(64 << 10) : osier_proceed();
}

static osier_body_verdict unfit(osier_string reason) {
  return osier_answer(osier_reply_of(422, reason, osier_textf("%.*s\n", OSIER_PRINT(reason))));
}

static osier_body_verdict on_body(const osier_exchange *exchange, osier_headers headers, osier_bytes body) {
  (void)exchange, (void)headers;
  osier_json *fields = osier_json_parse(body.ptr, body.len);
  if (!fields || fields->kind != OSIER_JSON_OBJECT) {
    osier_json_free(fields);
    return unfit(osier_text("the body is no JSON object"));
  }
  const osier_json *missing = NULL;
  const osier_json *required = osier_json_get(settings, "required");
  for (const osier_json *one = osier_json_first(required); one && !missing; one = one->next) {
    osier_string name = osier_json_text(one);
    bool there = false;
    for (const osier_json *field = osier_json_first(fields); field; field = field->next) there |= osier_same(field->name, name);
    if (!there) missing = one;
  }
  osier_json_free(fields);
  if (missing) return unfit(osier_textf("the body has no field %.*s", OSIER_PRINT(osier_json_text(missing))));
  osier_body_verdict verdict = osier_pass();
  OSIER_CHANGE(&verdict, osier_set("x-checked", osier_text("json")));
  return verdict;
}
OSIER_REQUEST_FILTER(on_head, on_body)
