"""Objects must have a label."""

from osier_plugin import configuration
from osier_plugin.admit import Operation, admitted, object_of, rejected

settings: dict = {}


def configure(config):
    settings.update(config)


Configuration = configuration(configure)


class Admit:
    def judge(self, review):
        label = settings["label"]
        labels = object_of(review).get("metadata", {}).get("labels") or {}
        if review.operation == Operation.DELETE or label in labels:
            return admitted()
        return rejected(f"label {label} is required here", "metadata.labels")
