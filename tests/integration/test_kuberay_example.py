"""The example for Kubernetes is what its operator takes, and its job file is one of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.registry import BUILT_IN

ROOT = Path(__file__).resolve().parents[2]
POD: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {"spec": {"type": "object", "required": ["containers"], "properties": {"containers": {"type": "array", "minItems": 1}}}},
}
GROUP = {"rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}}, "template": POD}
COUNTS = {key: {"type": "integer", "minimum": 0} for key in ("replicas", "minReplicas", "maxReplicas")}
RAY_JOB: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["entrypoint", "rayClusterSpec"],
            "properties": {
                "entrypoint": {"type": "string"},
                "backoffLimit": {"type": "integer"},
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": {"type": "integer"},
                "rayClusterSpec": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["headGroupSpec"],
                    "properties": {
                        "rayVersion": {"type": "string"},
                        "authOptions": {"type": "object", "properties": {"mode": {"enum": ["disabled", "token"]}}},
                        "headGroupSpec": {"type": "object", "additionalProperties": False, "required": ["template"], "properties": GROUP},
                        "workerGroupSpecs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                                "properties": {"groupName": {"type": "string"}, **GROUP, **COUNTS},
                            },
                        },
                    },
                },
            },
        },
    },
}
"""The part of the operator's definition that the example uses."""


@pytest.mark.needs("ray")
def test_the_example_for_kubernetes_is_what_its_operator_takes_and_its_job_file_is_valid(tmp_path: Path) -> None:
    config, claim, job = yaml.safe_load_all((ROOT / "examples" / "kuberay" / "rayjob.yaml").read_text())
    jsonschema.validate(job, RAY_JOB)
    cluster = job["spec"]["rayClusterSpec"]
    [head] = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    [[worker]] = [group["template"]["spec"]["containers"] for group in cluster["workerGroupSpecs"]]
    assert head["image"] == worker["image"]
    assert "OPENAI_API_KEY" not in json.dumps(worker)
    volumes = {volume["name"]: volume for volume in cluster["headGroupSpec"]["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert volumes["jobs"]["configMap"]["name"] == config["metadata"]["name"]
    file = tmp_path / "jobs.yaml"
    file.write_text(config["data"]["jobs.yaml"])
    loaded = load_job_file(file, LoadOptions(environ={"OPENAI_API_KEY": "sk-of-the-example-0123456789"}, check_inputs=False))
    assert loaded.executor.type == "ray"


def test_the_image_that_the_page_makes_for_kubernetes_has_the_ray_and_the_extras_of_the_example() -> None:
    config, _, job = yaml.safe_load_all((ROOT / "examples" / "kuberay" / "rayjob.yaml").read_text())
    [image] = re.findall(r"^```dockerfile\n(.*?)^```$", (ROOT / "docs" / "scale.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert f"FROM rayproject/ray:{job['spec']['rayClusterSpec']['rayVersion']}-" in image
    [extras] = re.findall(r"/src\[(.*?)\]", image)
    formats = [Path(job["output"]).suffix[1:] for job in yaml.safe_load(config["data"]["jobs.yaml"])["jobs"]]
    needed = {BUILT_IN["writers"][written].extra for written in formats}
    assert {"ray", *needed} - {None} <= set(extras.split(","))
