#!/usr/bin/env python3
"""Writes workloads.txt: the fields of Kubernetes' protobuf messages, from the Rust package `k8s-pb` (generated from the
`generated.proto` files) and from the schemas of host/api, which have the names as JSON writes them.

Usage: extract.py PATH-OF-k8s-pb/src ../../../api/schemas > workloads.txt
"""
import glob
import json
import os
import re
import sys

ROOTS = ["api.apps.v1.Deployment", "api.apps.v1.ReplicaSet", "api.apps.v1.StatefulSet", "api.apps.v1.DaemonSet",
         "api.batch.v1.Job", "api.batch.v1.CronJob", "api.core.v1.Pod", "api.policy.v1.PodDisruptionBudget",
         "api.autoscaling.v2.HorizontalPodAutoscaler", "api.autoscaling.v1.HorizontalPodAutoscaler", "api.autoscaling.v1.Scale",
         "api.apps.v1.ControllerRevision", "api.core.v1.Binding", "api.core.v1.Endpoints", "api.core.v1.Event",
         "api.core.v1.LimitRange", "api.core.v1.Node", "api.core.v1.PersistentVolume", "api.core.v1.PersistentVolumeClaim",
         "api.core.v1.PodTemplate", "api.core.v1.ReplicationController", "api.certificates.v1.CertificateSigningRequest",
         "api.coordination.v1.Lease", "api.discovery.v1.EndpointSlice", "api.events.v1.Event", "api.networking.v1.Ingress",
         "api.networking.v1.IngressClass", "api.networking.v1.NetworkPolicy", "api.policy.v1.Eviction"]
# Kinds whose status people write by `kubectl certificate`, or agents with the object.
WITH_STATUS = {"api.certificates.v1.CertificateSigningRequest", "api.core.v1.Node"}
SPECIAL = {"Time": "time", "MicroTime": "micro-time", "IntOrString": "int-or-string", "Quantity": "quantity", "RawExtension": "raw"}
# Go writes a number or a bool that is not a pointer even if it is zero or false: that says nothing. These are pointers.
POINTERS = {"replicas", "revisionHistoryLimit", "progressDeadlineSeconds", "parallelism", "completions", "backoffLimit",
            "backoffLimitPerIndex", "maxFailedIndexes", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "suspend",
            "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "manualSelector",
            "terminationGracePeriodSeconds", "automountServiceAccountToken", "shareProcessNamespace", "priority",
            "enableServiceLinks", "setHostnameAsFQDN", "hostUsers", "minReplicas", "minDomains", "runAsUser", "runAsGroup",
            "runAsNonRoot", "fsGroup", "privileged", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "optional",
            "defaultMode", "mode", "expirationSeconds", "tolerationSeconds", "partition", "averageUtilization",
            "stabilizationWindowSeconds", "controller", "blockOwnerDeletion", "maxSurge", "maxUnavailable", "minAvailable", "leaseDurationSeconds",
            "leaseTransitions", "ready", "serving", "terminating", "endPort", "targetCPUUtilizationPercentage"}


def messages(source):
    """Name of each message as `api.apps.v1.Name` to its fields: number, Rust name, prost kind, Rust type."""
    found = {}
    for path in glob.glob(source + "/**/mod.rs", recursive=True):
        module = os.path.relpath(os.path.dirname(path), source).replace("/", ".")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for name, body in re.findall(r"pub struct (\w+) \{(.*?)\n\}", text, re.S):
            pattern = r'#\[prost\(\s*([^\]]*?),\s*tag = "(\d+)"\s*\)\]\s*pub (?:r#)?(\w+):\s*(.*?),\s*(?=///|#\[|\Z)'
            fields = re.findall(pattern, body, re.S)
            found[module + "." + name] = [(int(tag), rust, kind, kind_of) for kind, tag, rust, kind_of in fields]
    return found


def target(module, rust_type):
    """The message that a Rust type names, relative to a module."""
    words = re.sub(r"\s|r#", "", rust_type).rstrip(">,")
    path = re.split(r"[<,]", words)[-1]
    parts, base = path.split("::"), module.split(".")
    while parts and parts[0] == "super":
        parts, base = parts[1:], base[:-1]
    return ".".join(base + parts)


def plain(name):
    return name.replace("_", "").lower()


def kind(module, name, field, rust_type):
    """How the field is read, and the message that it refers to."""
    if field.startswith("btree_map"):
        if "string, string" in field:
            return "text-map", None
        if "bytes" in field:
            return "bytes-map", None
        return ("quantity-map", None) if "Quantity" in rust_type else ("list-map", None)
    if field.startswith("message"):
        full = target(module, rust_type)
        short = full.rsplit(".", 1)[1]
        if short in SPECIAL:
            return SPECIAL[short] + ("!" if name in POINTERS and short == "IntOrString" else ""), None
        return full, full
    if field.startswith("string"):
        return "text", None
    if field.startswith("bytes"):
        return "bytes", None
    pointer = name in POINTERS
    if field.startswith("bool"):
        return ("bool!" if pointer else "bool"), None
    return ("number!" if pointer else "number"), None


def main():
    known = messages(sys.argv[1])
    schemas = {}
    for path in glob.glob(sys.argv[2] + "/*.json"):
        with open(path, encoding="utf-8") as file:
            for name, schema in json.load(file).items():
                names = schema.get("properties", {})
                schemas[plain(name.removeprefix("io.k8s."))] = {plain(name): name for name in names}
    todo, lines = list(ROOTS), {}
    while todo:
        full = todo.pop()
        if full in lines:
            continue
        module = full.rsplit(".", 1)[0]
        names = schemas.get(plain(full), {})
        words = []
        for number, rust, field, rust_type in known[full]:
            name = names.get(plain(rust))
            if full in ROOTS and full not in WITH_STATUS and rust == "status":
                words.append(f"{number}:status=ignored")
                continue
            if name == "managedFields":
                words.append(f"{number}:{name}=ignored")
                continue
            if name is None and field.startswith("message") and "repeated" not in field:
                # A Go struct inside another one: its fields are those of the outer one in JSON.
                inner = target(module, rust_type)
                fields = {plain(rust) for _, rust, _, _ in known[inner]}
                if fields & set(names):
                    words.append(f"{number}:-={inner}")
                    schemas.setdefault(plain(inner), {}).update({name: names[name] for name in fields if name in names})
                    todo.append(inner)
            if name is None:
                continue
            read, refers = kind(module, name, field, rust_type)
            if refers:
                todo.append(refers)
            many = "*" if "repeated" in field else ""
            words.append(f"{number}:{name}{many}={read}")
        lines[full] = full + " " + " ".join(words)
    print("# Written by extract.py. A message a line: NUMBER:NAME=KIND of each field; * repeated, ! written only if set, - inside.")
    print("\n".join(lines[full].rstrip() for full in sorted(lines)))


main()
