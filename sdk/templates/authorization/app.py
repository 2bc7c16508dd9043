"""Lets everybody read, and only admins write."""

from osier_plugin import allow, configuration, deny

admins: set = set()


def configure(config):
    admins.update(config["admins"])


Configuration = configuration(configure)


class Authorization:
    def check(self, instance):
        if instance.action.method == "GET":
            return allow()
        if instance.subject.user in admins:
            return allow(request_headers={"x-role": "admin"})
        return deny(403, reason="not an admin", body="Admins only.\n")
