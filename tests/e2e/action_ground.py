"""What the tests of the action stand on: the image, Docker, and a repository that uses the action."""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
import unittest

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/tools/action/bin"
BASE = "debian:trixie-slim"
NODES = {"v1.33.4": "example-validator-standin-node:v1.33.4", "v1.34.0": "example-validator-standin-node:v1.34.0"}
IMAGE = f"example-validator-e2e-action:{os.getpid()}"
# What act calls the image that it builds for `uses: ./`.
ACT_IMAGE = "act-dockeraction:latest"
MEGABYTE = 1_000_000
# On its own network a run's nodes are told from those of others.
NETWORK = f"ev-e2e-action-{os.getpid()}"
TOKEN = "ghs_e2eCanaryTokenThatNobodyElseMaySee01"
DOCUMENTS = {"plan.json", "report.html", "report.json", "junit.xml", "summary.md"}
# Known once `prepare` has run: the address of this machine in containers, the repository of the action, a home for act.
GROUND = types.SimpleNamespace()

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: {image}
          command: [sh, -c, "{command}"]
"""

# A shell and little else: every cluster loads it.
DOCKERFILE = f"""\
FROM {BASE} AS base
ARG GITHUB_TOKEN=none
ARG ACTIONS_RUNTIME_TOKEN=none
RUN mkdir /small && for program in /bin/sh /bin/sleep; do \\
      cp --parents --dereference "$program" $(ldd "$program" | grep -o '/[^ ]*') /small || exit 1; done
RUN env >/small/environment; echo "$GITHUB_TOKEN $ACTIONS_RUNTIME_TOKEN" >>/small/environment
FROM scratch
COPY --from=base /small /
"""


def run(*command, check=True, cwd=None, env=None, timeout=300, stdin=None):
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, cwd=cwd, env=env, timeout=timeout, input=stdin)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def docker(*arguments, check=True, timeout=300):
    return run("docker", *arguments, check=check, timeout=timeout).stdout.strip()


def build(context, tag, *more, check=True):
    """As the runner and act build it: the classic builder. Their networks know no mirror of this machine: what is built here is in the cache."""
    environment = os.environ | {"DOCKER_BUILDKIT": "0"}
    return run("docker", "build", "--network=host", "--force-rm", "--tag", tag, *more, context, check=check, env=environment, timeout=600)


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def nodes():
    return docker("ps", "--all", "--filter", f"network={NETWORK}", "--filter", "label=io.x-k8s.kind.cluster", "--format", "{{.Names}}").split()


def state():
    """What a run could leave in Docker, but for images and their layers."""
    return {
        "containers": docker("ps", "--all", "--format", "{{.Names}}").split(),
        "endpoints": docker("network", "inspect", NETWORK, "--format", "{{range .Containers}}{{.Name}} {{end}}").split(),
        "networks": docker("network", "ls", "--format", "{{.Name}}").split(),
        # act keeps one for tools.
        "volumes": [name for name in docker("volume", "ls", "--quiet").split() if name != "act-toolcache"],
    }


def free_port():
    with socket.socket() as probe:
        probe.bind((GROUND.gateway, 0))
        return probe.getsockname()[1]


def say(text):
    print(f"\n  {text}", file=sys.stderr)


def remove_images():
    built = docker("images", "--quiet", "example/e2e-action").split()
    docker("rmi", "--force", IMAGE, ACT_IMAGE, *built, check=False)
    # Earlier ones that act has built: it calls all the same.
    docker("image", "prune", "--force", "--filter", "label=org.opencontainers.image.title=example-validator", check=False)


@functools.cache
def prepare():
    """The image, and the repository that it is built from, for those tests that need one."""
    GROUND.gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}") or "172.17.0.1"
    folder = tempfile.TemporaryDirectory(prefix="ev-e2e-action-")
    unittest.addModuleCleanup(folder.cleanup)
    GROUND.home = pathlib.Path(folder.name) / "home"
    GROUND.home.mkdir()
    # The action's repository, as a release has it: the binary in dist/.
    GROUND.action = pathlib.Path(folder.name) / "action"
    (GROUND.action / "dist").mkdir(parents=True)
    for name in ("action.yml", "Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, GROUND.action)
    shutil.copy(PROGRAM, GROUND.action / "dist/example-validator")
    docker("network", "create", NETWORK)
    unittest.addModuleCleanup(docker, "network", "rm", NETWORK, check=False)
    started = time.monotonic()
    build(GROUND.action, IMAGE)
    unittest.addModuleCleanup(remove_images)
    say(f"the image was built in {time.monotonic() - started:.1f} s")


class InARepository(unittest.TestCase):
    """A repository that uses the action."""

    @classmethod
    def setUpClass(cls):
        prepare()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ev-e2e-action-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # What a container writes is root's.
        mine = ("--entrypoint", "chown", IMAGE, "--recursive", f"{os.getuid()}:{os.getgid()}", "/folder")
        self.addCleanup(docker, "run", "--rm", "--volume", f"{self.folder}:/folder", *mine)
        self.root = self.folder / "work/project"
        shutil.copytree(GROUND.action, self.root)
        self.before = state()
        self.addCleanup(self.remove_nodes)
        started = time.monotonic()
        self.addCleanup(lambda: say(f"{self._testMethodName}: {time.monotonic() - started:.0f} s"))

    def remove_nodes(self):
        for name in nodes():
            docker("rm", "--force", "--volumes", name, check=False)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def configure(self, **config):
        # JSON is YAML.
        self.write(".github/example-validator.yml", json.dumps({"version": 1, "retries": 0} | config))

    def on_a_node(self, *versions, **more):
        """A config for the stand-in nodes, with an image of the project's own."""
        self.write("image/Dockerfile", DOCKERFILE)
        self.configure(
            cluster="kind", kubernetes=[{"version": version, "image": NODES[version]} for version in versions or ["v1.34.0"]],
            images=[{"name": "example/e2e-action", "context": "image"}],
            examples=[{"paths": ["examples/*.yaml"], "tier": "full", "timeout": "2m"}],
            tiers={event: {"basic": "all", "full": "all"} for event in ("pull_request", "push")}, **more,
        )
        self.write("examples/good.yaml", JOB.format(name="good", image="example/e2e-action:latest", command="echo fine"))

    def demo(self):
        """The project's demonstration, on the simulator. All that a pull request touches is in it."""
        shutil.copytree(ROOT / "demo", self.root / "demo")
        text = (ROOT / "demo/example-validator.yml").read_text()
        self.write(".github/example-validator.yml", text + "tiers: {pull_request: {full: all}, push: {full: all}}\n")

    def commit(self):
        git = lambda *arguments: run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments, cwd=self.root)
        if not (self.root / ".git").exists():
            git("init", "--quiet", "--initial-branch", "main")
            git("remote", "add", "origin", "https://github.com/org/project.git")
        git("add", "--all", "--force")
        git("commit", "--quiet", "--allow-empty", "--message", "A change")
        return git("rev-parse", "HEAD").stdout.strip()

    @staticmethod
    def payload(event, head):
        repository = {"full_name": "org/project", "name": "project", "default_branch": "main", "owner": {"login": "org"}}
        if event == "push":
            return {"ref": "refs/heads/main", "before": "0" * 40, "after": head, "repository": repository}
        if event == "workflow_run":
            head_repository = {"full_name": "org/project", "owner": {"login": "org"}, "fork": False}
            of_run = {"id": 5, "event": "pull_request", "head_sha": head, "head_branch": "topic", "head_repository": head_repository, "pull_requests": []}
            return {"action": "completed", "workflow_run": of_run, "repository": repository}
        side = lambda ref, sha: {"ref": ref, "sha": sha, "repo": repository | {"fork": False}}
        pull = {"number": 7, "state": "open", "head": side("topic", head), "base": side("main", head)}
        return {"action": "synchronize", "number": 7, "pull_request": pull, "repository": repository}

    def assert_nothing_left(self):
        def left():
            return {what: names for what, now in state().items() if (names := sorted(set(now) - set(self.before[what])))}
        with contextlib.suppress(AssertionError):
            until(lambda: not left(), 15, "nothing is left")
        self.assertEqual(left(), {})
