"""The examples for a cluster are well formed, and of the versions that tests run on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support import flink_cluster
from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "examples" / "cluster"
PAGE = (ROOT / "docs" / "operate" / "cluster.md").read_text(encoding="utf-8")
OBJECTS = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")))
SCHEMA = json.loads((flink_cluster.JARS.pinned / "flinkdeployment.schema.json").read_text())
#: Of Flink and of Beam's runner for it.
FLINK, RUNNER = re.findall(
    r"<artifactId>beam-runners-flink-([\d.]+)</artifactId>\s*<version>([\d.]+)</version>",
    (flink_cluster.JARS.pinned / "pom.xml").read_text(),
)[0]
#: Kubernetes by whose schemas objects are checked; names that it does not know are refused.
KUBERNETES = "1.34"


def check(given: dict[str, Any]) -> None:
    """Refuse an object that Kubernetes or the operator of Flink would not take."""
    if given["kind"] != "FlinkDeployment":
        kubernetes_validate.validate(given, KUBERNETES, strict=True)
        return
    jsonschema.validate(given["spec"], SCHEMA)
    for part in ("jobManager", "taskManager"):
        if pod := given["spec"][part].get("podTemplate"):
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("given", OBJECTS, ids=lambda o: f"{o['kind']} {o['metadata']['name']}")
def test_objects_are_well_formed(given: dict[str, Any]) -> None:
    check(given)


@pytest.mark.parametrize("path", ("spec.taskManager.replica", "spec.taskManager.podTemplate.sepc"))
def test_a_misspelt_name_is_refused(path: str) -> None:
    given = json.loads(json.dumps(next(o for o in OBJECTS if o["kind"] == "FlinkDeployment")))
    *parents, name = path.split(".")
    place = given
    for parent in parents:
        place = place[parent]
    place[name] = {}
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(given)


def test_the_container_file_is_well_formed() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, FOLDER / "Containerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_container_file_takes_what_is_there() -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    taken = [name for line in re.findall(r"^COPY (.+)", text, re.M) for name in line.split()[:-1]]
    assert len(taken) > 5
    assert [name for name in taken if not (ROOT / name).exists()] == []


def test_examples_and_page_have_the_versions_that_are_tested() -> None:
    text = (FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"image: flink:([\d.]+)", text)) == {FLINK}
    assert set(re.findall(r"beam_flink([\d.]+)_job_server:([\d.]+)", text)) == {(FLINK, RUNNER)}
    assert set(re.findall(r"flinkVersion: v(\d+)_(\d+)", text)) == {tuple(FLINK.split("."))}
    assert f"beam-runners-flink-{FLINK}" in PAGE and RUNNER in PAGE


def test_the_run_has_the_options_that_are_tested() -> None:
    [run] = [o for o in OBJECTS if o["kind"] == "CronJob"]
    [container] = run["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    names = [option.partition("=")[0] for option in container["args"]]
    assert names == [
        "--runner", "--job_endpoint", "--environment_type", "--environment_config", "--parallelism",
    ]  # fmt: skip
    for option in container["args"]:
        assert option.partition("=")[0] in PAGE
