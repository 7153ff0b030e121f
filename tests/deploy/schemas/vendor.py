"""Writes the schemas in this folder anew from pinned packages of PyPI: see README.md."""

import json
import re
from importlib import import_module, resources
from pathlib import Path

HERE = Path(__file__).parent
KUBERNETES = "v1.37.0-local-strict"
KINDS = [
    "configmap-v1", "namespace-v1", "poddisruptionbudget-policy-v1", "service-v1", "serviceaccount-v1", "statefulset-apps-v1",
]
CUSTOM = [
    ("keda.sh/v1alpha1", "cloudcoil.models.keda.v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com/v1", "cloudcoil.models.prometheus_operator.v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "cloudcoil.models.prometheus_operator.v1", "ServiceMonitor"),
]
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def stripped(node, names=False):
    """Without prose and without what only a server reads. `names`: the keys are names of members, not words of a schema."""
    if isinstance(node, list):
        return [stripped(item) for item in node]
    if not isinstance(node, dict):
        return node
    drop = lambda key: not names and (key in ("description", "title", "default", "$id") or key.startswith("x-kubernetes"))
    return {
        key: stripped(value, not names and key in ("properties", "patternProperties", "$defs", "definitions"))
        for key, value in node.items()
        if not drop(key)
    }


def named(node, rename):
    """The same with every reference to a definition renamed."""
    if isinstance(node, list):
        return [named(item, rename) for item in node]
    if not isinstance(node, dict):
        return node
    return {k: f"#/$defs/{rename(v.rsplit('/', 1)[1])}" if k == "$ref" else named(v, rename) for k, v in node.items()}


def references(node):
    if isinstance(node, list):
        return {name for item in node for name in references(item)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].rsplit("/", 1)[1]} if isinstance(node.get("$ref"), str) else set()
    return own | {name for value in node.values() for name in references(value)}


def reachable(roots, definitions):
    found, todo = {}, set().union(*map(references, roots))
    while todo:
        name = todo.pop()
        found[name] = definitions[name]
        todo |= references(found[name]) - set(found)
    return found


def closed(node):
    """A model's schema as strict as those of Kubernetes: no unknown members. Rust has no `(?i)` in the middle of a pattern."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: closed(value) for key, value in node.items()}
    if "(?i)" in str(node.get("pattern", "")):
        del node["pattern"]
    if node.get("properties"):
        node.setdefault("additionalProperties", False)
    return node


def write(name, schema):
    """One definition a line, so that a new version can be read as a difference."""
    text = lambda value: json.dumps(value, separators=(",", ":"), sort_keys=True)
    parts = []
    for key, value in schema.items():
        if key in ("$defs", "definitions"):
            lines = ",\n".join(f"{text(name)}:{text(value[name])}" for name in sorted(value))
            parts.append(f"{text(key)}:{{\n{lines}\n}}")
        else:
            parts.append(f"{text(key)}:{text(value)}")
    (HERE / name).write_text("{\n" + ",\n".join(parts) + "\n}\n")


def compose():
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    write("compose.json", stripped(json.loads((folder / "compose-spec.json").read_text())))


def kubernetes():
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / KUBERNETES
    read = lambda name: json.loads((folder / f"{name}.json").read_text())
    definitions = read("_definitions")["$defs"]
    roots = {}
    for name in KINDS:
        schema = read(name)
        kind = schema.pop("x-kubernetes-group-version-kind")[0]
        version = "/".join(filter(None, [kind["group"], kind["version"]]))
        schema["properties"].pop("status", None)  # what the server writes
        del schema["$schema"]
        roots[f"{version} {kind['kind']}"] = schema
    for version, module, kind in CUSTOM:
        schema = closed(getattr(import_module(module), kind).model_json_schema(by_alias=True))
        schema["properties"].pop("status", None)
        own = schema.pop("$defs")
        schema["required"] = sorted({*schema["required"], "apiVersion", "kind", "metadata"})
        rename = lambda name, kind=kind: META if name == "ObjectMeta" else f"{kind}.{name}"
        roots[f"{version} {kind}"] = named(schema, rename)
        definitions |= {rename(name): named(value, rename) for name, value in own.items() if name != "ObjectMeta"}
    used = reachable(roots.values(), definitions)
    everything = {name: named(stripped(value), lambda name: name) for name, value in {**used, **roots}.items()}
    # "group/version kind" cannot stand in a reference as it is, and nothing refers to one.
    assert not any(re.search("[/ ]", name) for name in used)
    write("kubernetes.json", {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": everything})


compose()
kubernetes()
