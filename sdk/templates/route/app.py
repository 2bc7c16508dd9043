"""A header names the subset that a request goes to, and a cookie remembers it."""

from osier_plugin import configuration
from osier_plugin.route import chosen

settings: dict = {}


def configure(config):
    settings.update(config)


Configuration = configuration(configure)


class Route:
    def choose(self, request, headers, candidates):
        wanted = [header.value for header in headers if header.name == settings["header"]]
        for place, candidate in enumerate(candidates):
            if candidate.subset in wanted:
                return chosen(place, {"set-cookie": f"variant={candidate.subset}"})
        return None
