"""Prefers nodes with few pods, and leaves out those with too many."""

from osier_plugin import configuration
from osier_plugin.schedule import infeasible, score

settings: dict = {}


def configure(config):
    settings.update(config)


Configuration = configuration(configure)


class Schedule:
    def score(self, pod, candidates):
        most = settings["most"]
        return [infeasible("it has too many pods") if node.pods >= most else score(max(0, 100 - node.pods)) for node in candidates]
