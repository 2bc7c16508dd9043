"""The body of a request must be a JSON object with the required fields: hook filter."""

import json

from osier_plugin.filter import answer, get, need_body, pass_on, proceed
from settings import settings


def unfit(reason):
    return answer(422, reason=reason, body=f"{reason}\n".encode())


class Request:
    def on_request(self, exchange, headers):
        return need_body(64 << 10) if get(headers, "content-type").startswith("application/json") else proceed()

    def on_request_body(self, exchange, headers, body):
        try:
            fields = json.loads(body)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            return unfit("the body is no JSON object")
        for name in settings["required"]:
            if name not in fields:
                return unfit(f"the body has no field {name}")
        return pass_on({"x-checked": "json"})
