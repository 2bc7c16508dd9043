"""Answers in place of a service that is being repaired."""

from osier_plugin import configuration, deny

settings: dict = {}


def configure(config):
    settings.update(config)


Configuration = configuration(configure)


class Checknothing:
    def check(self):
        return deny(503, reason="maintenance", headers={"retry-after": "60"}, body=settings.get("message", ""))
