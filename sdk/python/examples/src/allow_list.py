"""A header allow-list: template listentry."""

from osier_plugin import allow, deny
from settings import settings


class Listentry:
    def check(self, instance):
        if instance.value in settings["allow"]:
            return allow()
        return deny(
            403,
            reason="not on the list",
            body="You are not on the list.\n",
            headers={"x-denied-by": "allow-list"},
        )
