"""Renders the overlays and the chart, holds every object against Kubernetes's schemas, and compares them with each other.

    kubernetes.py KUBECTL HELM
"""

import json
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
# The oldest that has the pause before SIGTERM, and the newest that has schemas.
VERSIONS = ["1.30", "1.37"]
ALL = ["autoscaling.enabled=true", "serviceMonitor.enabled=true", "ingress.enabled=true"]
# How long a server takes to end at most, in seconds.
DRAIN = 30


def main():
    kubectl, helm = sys.argv[1:]
    overlay = lambda name: render(kubectl, "kustomize", ROOT / "deploy/kubernetes/overlays" / name)
    chart = lambda *sets: render(
        helm, "template", "keyward", ROOT / "deploy/helm/keyward", "--kube-version=1.35.0",
        *(part for value in sets for part in ("--set", value)),
    )
    rendered = {"trial": overlay("trial"), "production": overlay("production"), "chart": chart(), "chart with all": chart(*ALL)}
    for name, objects in rendered.items():
        for one in objects:
            validate(name, one)
        consistent(name, objects)
    pods = {name: comparable(objects) for name, objects in rendered.items()}
    for name, pod in pods.items():
        expect(pod == pods["production"], f"{name}: the pods differ from those of the overlay production:\n{pod}\n{pods['production']}")
    kinds = lambda name: {one["kind"] for one in rendered[name]}
    expect(kinds("chart with all") - {"Ingress"} == kinds("production"), "the chart and the overlay production have different kinds")
    print(f"{sum(map(len, rendered.values()))} objects hold against the schemas of Kubernetes {' and '.join(VERSIONS)}")


def render(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    expect(done.returncode == 0, f"{command}: {done.stderr}")
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def validate(name, one):
    """Against the schema of its kind. A ServiceMonitor belongs to Prometheus Operator, and has none there."""
    if one["kind"] == "ServiceMonitor":
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except Exception as error:
            expect(False, f"{name}, Kubernetes {version}, {one['kind']} {one['metadata']['name']}: {error}")


def consistent(name, objects):
    """What no schema knows: selectors find something, probes and metrics exist, and the times fit together."""
    by_kind = lambda kind: [one for one in objects if one["kind"] == kind]
    (deployment,) = [one for one in by_kind("Deployment")]
    pod = deployment["spec"]["template"]
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in by_kind("Deployment") + by_kind("StatefulSet")]
    finds = lambda selector: bool(selector) and any(selector.items() <= one.items() for one in labels)
    for service in by_kind("Service"):
        expect(finds(service["spec"]["selector"]), f"{name}: Service {service['metadata']['name']} finds no pod")
    for kind, key in [("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector"), ("Deployment", "selector")]:
        for one in by_kind(kind):
            expect(finds(one["spec"][key].get("matchLabels")), f"{name}: {kind} finds no pod")
    for monitor in by_kind("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        found = [one for one in by_kind("Service") if wanted.items() <= one["metadata"]["labels"].items()]
        expect(len(found) == 1, f"{name}: the ServiceMonitor finds {len(found)} Services")
        ports = [port["name"] for port in found[0]["spec"]["ports"]]
        expect([end["port"] for end in monitor["spec"]["endpoints"]] == ports, f"{name}: the ServiceMonitor asks other ports")
        expect(found[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "keyward", f"{name}: the job is not keyward")
    metrics = (ROOT / "docs/metrics.md").read_text()
    for scaler in by_kind("HorizontalPodAutoscaler"):
        expect(scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"], f"{name}: the autoscaler scales nothing")
        expect("replicas" not in deployment["spec"], f"{name}: the number of servers is fixed and scaled")
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] == "Pods":
                expect(f"`{metric['pods']['metric']['name']}`" in metrics, f"{name}: there is no metric {metric['pods']['metric']['name']}")
    (container,) = pod["spec"]["containers"]
    paths = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        expect(container[probe]["httpGet"]["path"] in paths, f"{name}: {probe} asks for a path that no server has")
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    expect(pod["spec"]["terminationGracePeriodSeconds"] >= pause + DRAIN, f"{name}: a server is killed before it ends")
    secrets = [volume["name"] for volume in pod["spec"]["volumes"] if "secret" in volume]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    expect(secrets and all(mounts[secret]["readOnly"] for secret in secrets), f"{name}: secrets are not files")
    expect("env" not in container and "envFrom" not in container, f"{name}: there are variables, which may hold secrets")


def comparable(objects):
    """The spec of Keyward's pods, without what names the release."""
    (pod,) = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]
    for volume in pod["volumes"]:
        volume.get("configMap", {}).pop("name", None)
    pod["containers"][0].pop("imagePullPolicy", None)
    for constraint in pod["topologySpreadConstraints"]:
        constraint.pop("labelSelector")
    return pod


def expect(truth, complaint):
    if not truth:
        sys.exit(complaint)


main()
