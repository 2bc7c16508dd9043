"""Required claims: template authorization."""

from osier_plugin import allow, deny
from settings import settings


class Authorization:
    def check(self, instance):
        claims = {}
        for name, value in instance.subject.properties:
            if name == "claims" and isinstance(getattr(value, "value", None), list):
                claims = dict(value.value)
        for name, value in settings["claims"].items():
            if claims.get(name) != value:
                return deny(403, reason=f"claim {name} must be {value}")
        return allow(
            request_headers={"x-user": instance.subject.user},
            response_headers={"x-tier": settings["claims"].get("tier", "")},
            valid_for=1.0,
        )
