"""The release binary with the real kind and a real Docker: clusters come up, examples are judged, and nothing is left.

Run by `.ci/run` as `python3 tests/e2e/kind.py PROGRAM [TEST...]` after `.ci/docker`. Standard library only. The node images are those of
EXAMPLE_VALIDATOR_TEST_NODE_IMAGE (separated by commas), else the stand-ins that `.ci/docker` made: there the API server is the simulator,
and nothing else is. On a real node image the same tests hold, and some hold more. EXAMPLE_VALIDATOR_TEST_SEED repeats the moments of an
earlier run.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zipfile

from front_registry import FrontRegistry

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
STANDINS = "example-validator-standin-node:v1.33.4,example-validator-standin-node:v1.34.0"
IMAGES = os.environ.get("EXAMPLE_VALIDATOR_TEST_NODE_IMAGE", STANDINS).split(",")
SEED = int(os.environ.get("EXAMPLE_VALIDATOR_TEST_SEED") or random.randrange(1 << 32))
CANCELS = int(os.environ.get("EXAMPLE_VALIDATOR_TEST_CANCELS", "20"))
KUBEFLOW = pathlib.Path(
    os.environ.get("EXAMPLE_VALIDATOR_TEST_KUBEFLOW") or pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "kubeflow-v1"
)
# A network of our own: what is on it is ours, whatever else this Docker is used for.
NETWORK = f"ev-e2e-{os.getpid()}"
# How long a whole run may take. A real node is some ten times slower than a stand-in.
LIMIT = 600
BUILT = "example/e2e"

# A shell and little else: every cluster loads it.
DOCKERFILE = """\
FROM debian:trixie-slim AS base
RUN mkdir /small && for program in /bin/sh /bin/sleep /bin/cat; do \\
      cp --parents --dereference "$program" $(ldd "$program" | grep -o '/[^ ]*') /small || exit 1; done
FROM scratch
COPY --from=base /small /
CMD ["/bin/sh"]
"""

# The policy is one that a loaded image would not survive, if it were not rewritten.
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
          imagePullPolicy: {policy}
          command: [sh, -c, "{command}"]
"""

WIDGET = """\
apiVersion: e2e.example.com/v1
kind: Widget
metadata:
  name: {name}
spec:
  size: {size}
"""

# A framework that needs no controller: what is judged is what was applied.
FRAMEWORK = {
    "name": "widget", "match": {"group": "e2e.example.com", "version": "v1", "kind": "Widget"},
    "succeeded": "object.spec.size == 3", "failed": "object.spec.size == 0", "running": "object.spec.size == 1", "timeout": "1m",
}

OPERATOR = {
    "kustomization.yaml": "resources: [namespace.yaml, definition.yaml, deployment.yaml, service.yaml]\n",
    "namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: e2e-system\n",
    "definition.yaml": """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.e2e.example.com
spec:
  group: e2e.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [size]
              properties:
                size: {type: integer, minimum: 0}
""",
    "deployment.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: widgets
  namespace: e2e-system
spec:
  selector: {matchLabels: {app: widgets}}
  template:
    metadata: {labels: {app: widgets}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: manager
          image: registry.invalid/widgets/operator:v0
          imagePullPolicy: Always
          command: [sh, -c, "COMMAND"]
          # Without it what crashes is ready for a moment.
          readinessProbe: {periodSeconds: 1, exec: {command: [sh, -c, "PROBE"]}}
""",
    "service.yaml": """\
apiVersion: v1
kind: Service
metadata:
  name: widgets
  namespace: e2e-system
spec:
  selector: {app: widgets}
  ports: [{port: 8080}]
""",
}


def docker(*arguments, check=True):
    done = subprocess.run(["docker", *arguments], text=True, capture_output=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def until(condition, seconds, what):
    """Waits until `condition()` is true, and gives what it gave."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def listens(process):
    """Whether a process would handle SIGINT."""
    with contextlib.suppress(OSError):
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", pathlib.Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def nodes(*more):
    """The containers on our network."""
    return docker("ps", "--all", "--filter", f"network={NETWORK}", *more, "--format", "{{.Names}}").split()


def docker_state():
    """What a run could leave in Docker. Clusters of others come and go as they like."""
    listed = docker("ps", "--all", "--format", '{{.Names}}\t{{.Label "io.x-k8s.kind.cluster"}}\t{{.Networks}}').splitlines()
    containers = [line.split("\t") for line in listed]
    return {
        "containers": [name for name, cluster, networks in containers if not cluster or NETWORK in networks],
        "endpoints": docker("network", "inspect", NETWORK, "--format", "{{range .Containers}}{{.Name}} {{end}}").split(),
        "networks": docker("network", "ls", "--format", "{{.Name}}").split(),
        "volumes": docker("volume", "ls", "--quiet").split(),
    }


def setUpModule():
    global STANDIN, VERSIONS, CACHE
    is_standin = '{{index .Config.Labels "example-validator.standin"}}'
    STANDIN = docker("image", "inspect", "--format", is_standin, IMAGES[0]) == "node"
    # The version is what the image says, not how somebody has called it.
    VERSIONS = [
        {"version": docker("run", "--rm", "--entrypoint", "cat", image, "/kind/version"), "image": image} for image in IMAGES
    ]
    docker("network", "create", NETWORK)
    unittest.addModuleCleanup(docker, "network", "rm", NETWORK)
    cache = tempfile.TemporaryDirectory(prefix="ev-e2e-cache-")
    unittest.addModuleCleanup(cache.cleanup)
    CACHE = cache.name
    print(f"{'stand-in' if STANDIN else 'real'} nodes: {VERSIONS}; seed {SEED}", file=sys.stderr)


class OnKind(unittest.TestCase):
    """A repository with an image of its own, and runs of it on clusters of kind."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="ev-e2e-")
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name) / "repository"
        self.temporary = pathlib.Path(temporary.name) / "temporary"
        self.root.mkdir()
        self.temporary.mkdir()
        kept = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "NO_COLOR": "1", "TMPDIR": str(self.temporary), "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK,
        }
        self.write("image/Dockerfile", DOCKERFILE)
        self.before = docker_state()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def example(self, name, command, image=f"{BUILT}:latest", policy="Always"):
        self.write(f"examples/{name}.yaml", JOB.format(name=name, command=command, image=image, policy=policy))

    def operator(self, command="echo the operator is up; sleep 3600", probe="exit 0"):
        """An operator with an image that only we can give it. Its part of the config."""
        for name, text in OPERATOR.items():
            self.write(f"operator/{name}", text.replace("COMMAND", command).replace("PROBE", probe))
        step = {"kustomize": "operator", "images": {"registry.invalid/widgets/operator": BUILT}}
        return {"operator": [step], "frameworks": [FRAMEWORK]}

    def configure(self, versions=1, **more):
        config = {
            "version": 1, "retries": 0, "kubernetes": VERSIONS[-versions:],
            "examples": [{"paths": ["examples/*.yaml"], "tier": "full", "timeout": "2m"}],
            "images": [{"name": BUILT, "context": "image"}],
        }
        # JSON is YAML.
        self.write(".github/example-validator.yml", json.dumps(config | more))

    def start(self, *arguments, **variables):
        # A group of its own, as a terminal gives it; signals go to the program alone.
        process = subprocess.Popen(
            [PROGRAM, *arguments], cwd=self.root, env=self.environment | variables, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.addCleanup(self.end, process)
        return process

    def start_run(self, *arguments, cache=None, **variables):
        shutil.rmtree(self.root / "example-validator-report", ignore_errors=True)
        self.before = docker_state()
        return self.start("run", "--cluster", "kind", "--cache-dir", cache or CACHE, *arguments, **variables)

    def end(self, process):
        """Also after a test that failed half-way, whatever is left is taken away."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=60)
        if process.poll() is None:
            process.kill()
        process.communicate()
        for name in nodes():
            docker("rm", "--force", "--volumes", name, check=False)

    def finish(self, process, exit_code, timeout=LIMIT):
        """Waits for the end, and gives all that was printed."""
        output, errors = process.communicate(timeout=timeout)
        if exit_code is not None:
            self.assertEqual(process.returncode, exit_code, output + errors)
        return output + errors

    def run_examples(self, *arguments, exit_code=0, cache=None):
        """A run to its end; its report."""
        started = time.monotonic()
        output = self.finish(self.start_run(*arguments, cache=cache), exit_code)
        report = self.report()
        phases = [cluster.get("phases") for cluster in report["clusters"]]
        print(f"\n  {self.id()}: {time.monotonic() - started:.1f} s, {phases}", file=sys.stderr)
        self.assertEqual(report["run"]["simulated"], STANDIN, output)
        if STANDIN:
            self.assertEqual(report["summary"]["conclusion"], "simulated", output)
        return report

    def report(self):
        return json.loads((self.root / "example-validator-report" / "report.json").read_text())

    def evidence(self):
        """What the archive holds, by path."""
        with zipfile.ZipFile(self.root / "example-validator-report" / "evidence.zip") as archive:
            self.assertIsNone(archive.testzip())
            return {name: archive.read(name).decode(errors="replace") for name in archive.namelist()}

    def rows(self, report):
        return {(pathlib.Path(row["example"]).stem, row["kubernetes"]): row for row in report["results"]}

    def outcomes(self, report):
        return {name: row["outcome"] for (name, _), row in self.rows(report).items()}

    def processes(self):
        """Processes of any run of this test, by their temporary folder."""
        found = []
        for environment in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"TMPDIR={self.temporary}".encode() in environment.read_bytes():
                    found.append((environment.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def assert_nothing_left(self, files=True):
        """Docker, processes and temporary files are as before the run. What goes by itself in a moment may; others may take theirs away."""
        def left():
            added = {what: sorted(set(now) - set(self.before[what])) for what, now in docker_state().items()}
            return {
                **{what: names for what, names in added.items() if names},
                **({"files": names} if files and (names := sorted(os.listdir(self.temporary))) else {}),
                **({"processes": running} if (running := self.processes()) else {}),
            }
        with contextlib.suppress(AssertionError):
            until(lambda: not left(), 10, "nothing is left")
        self.assertEqual(left(), {})

    def assert_clusters(self, report, versions):
        wanted = {version["version"] for version in VERSIONS[-versions:]}
        self.assertEqual({cluster["kubernetes"] for cluster in report["clusters"]}, wanted)
        for cluster in report["clusters"]:
            # Simulated results say so everywhere.
            self.assertIn(cluster["provider"], ("kind", "simulated") if STANDIN else ("kind",))
            self.assertEqual(cluster["outcome"], "ready", cluster)
            self.assertGreater(cluster["phases"]["createMs"], 0, cluster)


class Run(OnKind):
    """Whole runs."""

    def test_good_and_bad_examples_are_told_apart(self):
        self.configure()
        self.example("good", "echo fine")
        self.example("bad", "echo no such data >&2; exit 3")
        report = self.run_examples(exit_code=1)
        self.assert_clusters(report, 1)
        self.assertEqual(self.outcomes(report), {"good": "passed", "bad": "failed"})
        bad = self.rows(report)["bad", VERSIONS[-1]["version"]]
        self.assertEqual(bad["cause"]["class"], "runtime", bad)
        self.assertIn("exit code 3", bad["cause"]["message"])
        self.assertIn("no such data", bad["cause"]["message"])
        evidence = self.evidence()
        logs = {path: text for path, text in evidence.items() if path.startswith(bad["evidence"]) and path.endswith(".log")}
        self.assertEqual(list(logs.values()), ["no such data\n"], logs)
        for name in ("kubelet.log", "containerd.log", "kubernetes-version.txt", "docker-info.txt"):
            self.assertTrue(any(path.endswith("/" + name) for path in evidence), f"{name} of `kind export logs` in {list(evidence)}")
        if not STANDIN:
            self.assertEqual(report["summary"]["conclusion"], "failure")
        self.assert_nothing_left()

    @unittest.skipUnless(len(IMAGES) > 1, "two node images are needed")
    def test_two_versions_come_up_at_once_and_each_goes(self):
        self.configure(versions=2)
        self.example("good", "echo fine")
        self.example("slow", "sleep 2; echo fine")
        told = self.root.parent / "events"
        with told.open("w") as output:
            events = subprocess.Popen(
                ["docker", "events", "--filter", "type=container", "--filter", "event=create", "--filter", "event=destroy",
                 "--filter", "label=io.x-k8s.kind.cluster", "--format", "{{.Action}} {{.Actor.Attributes.name}}"],
                stdout=output,
            )
        try:
            report = self.run_examples("--cluster-parallel", "2")
            self.assert_nothing_left()
            until(lambda: told.read_text().count("destroy ev-") >= 2, 60, "the engine tells that both nodes are gone")
        finally:
            events.terminate()
            events.wait()
        lines = [line.split() for line in told.read_text().splitlines()]
        self.assert_clusters(report, 2)
        self.assertEqual(set(self.rows(report)), {(name, version["version"]) for name in ("good", "slow") for version in VERSIONS[-2:]})
        self.assertEqual({row["outcome"] for row in report["results"]}, {"passed"})
        ours = [(action, name) for action, name in lines if name.startswith("ev-")]
        self.assertEqual([action for action, _ in ours], ["create", "create", "destroy", "destroy"], "both lived at once, and no more")
        self.assertEqual({name for action, name in ours[:2]}, {name for action, name in ours[2:]})

    def test_an_image_of_ours_is_built_once_and_then_comes_from_the_cache(self):
        cache = self.root.parent / "cache"
        self.write("broken/Dockerfile", "FROM debian:trixie-slim\nRUN echo broken on purpose && exit 7\n")
        self.configure(images=[{"name": BUILT, "context": "image"}, {"name": "example/broken", "context": "broken"}])
        self.example("good", "echo fine")
        self.example("needs-broken", "echo never", image="example/broken:v1")
        report = self.run_examples(exit_code=1, cache=str(cache))
        self.assertEqual(self.outcomes(report), {"good": "passed", "needs-broken": "failed"})
        cause = self.rows(report)["needs-broken", VERSIONS[-1]["version"]]["cause"]
        self.assertEqual(cause["class"], "image", cause)
        self.assertTrue(any("broken on purpose" in text for text in self.evidence().values()), "the build's log is in the evidence")
        built = {image["name"]: image for image in report["images"]}
        self.assertEqual(built[BUILT]["cache"], "miss", built)
        self.assert_nothing_left()

        (self.root / "examples/needs-broken.yaml").unlink()
        report = self.run_examples("--keep-cluster", "always", cache=str(cache))
        [again] = [image for image in report["images"] if image["name"] == BUILT]
        self.assertEqual((again["cache"], again["cacheKey"]), ("hit", built[BUILT]["cacheKey"]))
        [node] = nodes()
        self.assertIn(BUILT, docker("exec", node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet"))
        applied = [text for path, text in self.evidence().items() if "/objects/" in path and "Job" in path]
        self.assertTrue(any("IfNotPresent" in text for text in applied), applied)
        self.finish(self.start("clean"), 0)
        self.assert_nothing_left()


class Operator(OnKind):
    """The operator under test."""

    def test_examples_of_the_kinds_of_an_operator_are_judged(self):
        self.configure(**self.operator())
        self.write("examples/right.yaml", WIDGET.format(name="right", size=3))
        self.write("examples/wrong.yaml", WIDGET.format(name="wrong", size=0))
        self.example("job", "echo fine")
        report = self.run_examples(exit_code=1)
        self.assert_clusters(report, 1)
        self.assertEqual(self.outcomes(report), {"right": "passed", "wrong": "failed", "job": "passed"})
        self.assertGreater(report["clusters"][0]["phases"]["operatorMs"], 0)
        self.assertTrue(any("the operator is up" in text for text in self.evidence().values()), list(self.evidence()))
        self.assert_nothing_left()

    def test_an_operator_that_does_not_get_ready_is_no_fault_of_an_example(self):
        self.configure(**self.operator("echo cannot open the door >&2; exit 5", "exit 1"), **{"operator-ready": {"timeout": "15s"}})
        self.write("examples/right.yaml", WIDGET.format(name="right", size=3))
        report = self.run_examples(exit_code=3)
        [row] = report["results"]
        self.assertEqual((row["outcome"], row["cause"]["class"]), ("errored", "operator"), row)
        self.assertIn("widgets", row["cause"]["message"])
        self.assertTrue(any("cannot open the door" in text for text in self.evidence().values()), "its logs are in the evidence")
        self.assert_nothing_left()

    def test_the_training_operator_of_kubeflow_comes_up(self):
        if not STANDIN:
            self.skipTest("its image can't be pulled everywhere")
        if not KUBEFLOW.is_dir():
            self.skipTest(f"{KUBEFLOW} is not here")
        self.write("examples/simple.yaml", (KUBEFLOW / "examples/pytorch/simple.yaml").read_text())
        overlay = str((KUBEFLOW / "manifests/overlays/standalone").resolve())
        self.configure(operator=[{"kustomize": overlay}], images=[], **{"operator-ready": {"timeout": "60s"}})
        report = self.run_examples()
        [row] = report["results"]
        self.assertEqual((row["framework"], row["outcome"]), ("pytorchjob", "passed"), row)
        self.assert_nothing_left()


class ExternalImages(OnKind):
    """Images of others, from a registry on loopback."""

    def test_answers_of_a_registry_reach_the_nodes_and_a_download_serves_all(self):
        versions = min(2, len(IMAGES))
        wanted = {  # The registry's answer, the outcome, the cause's class.
            "team": (200, "passed", None),
            "absent": (404, "failed", "image"),
            "auth": (401, "failed", "image"),
            "limited": (429, "errored", "image"),
            "down": (503, "errored", "image"),
        }
        with FrontRegistry(self.root.parent) as registry:
            pushed = f"{registry.push_host}/team/app:1"
            docker("build", "--tag", pushed, str(self.root / "image"))
            self.addCleanup(docker, "rmi", "--force", pushed, check=False)
            docker("push", "--quiet", pushed)
            self.configure(
                versions=versions, images=[], registries={"mirrors": {"registry.example": registry.url}},
                graces={"image-not-found": "5s", "image-transient": "15s"},
            )
            # The truth is the registry's: a mirror only serves what it has. So what is refused is asked of the registry itself.
            own = registry.url.removeprefix("http://")
            images = {name: f"{'registry.example' if name == 'team' else own}/{name}/app:1" for name in wanted}
            for name, image in images.items():
                # On a stand-in no kubelet pulls: this long the cluster is there for us to pull in its stead.
                self.example(name, "sleep 20" if name == "team" else "true", image, "IfNotPresent")
            process = self.start_run("--cluster-parallel", "2")
            proxy = lambda node: docker("exec", node, "cat", "/etc/containerd/certs.d/_default/hosts.toml", check=False)
            ready = lambda: [node for node in nodes("--filter", "status=running") if proxy(node)]
            until(lambda: len(ready()) == versions or process.poll() is not None, 120, "the nodes have a mirror of all registries")
            if process.poll() is not None:
                self.fail(self.finish(process, None))
            for node in ready():
                self.assertIsNone(self.pull(node, images["team"]), proxy(node))
                # What containerd makes of it depends on its version and on what the node itself can reach.
                url = re.search(r"http://[^\"]+", proxy(node))[0]
                for name, (status, _, _) in wanted.items():
                    host = images[name].split("/")[0]
                    self.assertEqual(self.ask(f"{url}/v2/{name}/app/manifests/1?ns={host}"), status, name)
            self.finish(process, None if STANDIN else 1)
            downloads = registry.downloads("team/app")
            self.assertNotEqual(downloads, {})
            self.assertEqual(set(downloads.values()), {1}, downloads)
            for name in wanted:
                self.assertGreater(registry.asked(f"{name}/app"), 0, name)
        report = self.report()
        self.assert_clusters(report, versions)
        for (name, _), row in self.rows(report).items():
            if not STANDIN or name == "team":
                _, outcome, cause = wanted[name]
                self.assertEqual((row["outcome"], row["cause"] and row["cause"]["class"]), (outcome, cause), row)
        self.assert_nothing_left()

    def ask(self, url):
        """The status of an answer."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    def pull(self, node, image):
        """What containerd says as it pulls, as the kubelet would have it; None if it has the image."""
        command = ["docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "pull", "--hosts-dir", "/etc/containerd/certs.d"]
        done = subprocess.run([*command, image], text=True, capture_output=True, timeout=60)
        return None if done.returncode == 0 else done.stdout + done.stderr


class Ends(OnKind):
    """Runs that don't get to their end."""

    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        self.more = self.operator()
        self.example("good", "echo fine; sleep 2")

    def test_cancelled_at_any_moment_a_run_leaves_a_report_and_nothing_else(self):
        self.configure(**self.more)
        started = time.monotonic()
        self.run_examples()
        span = time.monotonic() - started
        slowest = 0.0
        for turn in range(CANCELS):
            # Now and then two clusters, and a build instead of the cache.
            versions = 2 if turn % 4 == 3 and len(IMAGES) > 1 else 1
            cache = str(self.root.parent / f"cache-{turn}") if turn % 3 == 2 else None
            moment = self.chance.uniform(0, span)
            with self.subTest(turn=turn, moment=round(moment, 3), versions=versions, seed=SEED):
                self.configure(versions=versions, **self.more)
                process = self.start_run(cache=cache)
                # Earlier there is nobody who could handle a signal.
                until(lambda: listens(process) or process.poll() is not None, 60, "it handles signals")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(moment)
                sent = time.monotonic()
                is_late = process.poll() is not None
                process.send_signal(signal.SIGINT)
                output = self.finish(process, 0 if is_late else None, timeout=90)
                slowest = max(slowest, time.monotonic() - sent)
                # It may have been as good as over.
                self.assertIn(process.returncode, (0, 130), output)
                if process.returncode == 130:
                    self.assertEqual(self.report()["summary"]["conclusion"], "cancelled", output)
                self.assert_nothing_left()
        print(f"\n  cancelled {CANCELS} runs of {span:.1f} s; the slowest end took {slowest:.1f} s", file=sys.stderr)
        # What a killed child of a child had under way comes up only now.
        time.sleep(7)
        self.assert_nothing_left()

    def test_clean_removes_what_a_killed_run_left(self):
        # Somebody's own cluster, by its labels; it does not have to run.
        labels = ("--label", "io.x-k8s.kind.cluster=ev-demo", "--label", "io.x-k8s.kind.role=control-plane")
        other = docker("create", *labels, "--entrypoint", "true", IMAGES[0])
        self.addCleanup(docker, "rm", "--force", "--volumes", other, check=False)
        self.configure(**self.more)
        # It is not done by itself before it is killed.
        self.example("good", "sleep 100")
        process = self.start_run()
        until(lambda: nodes() or process.poll() is not None, 300, "a node is there")
        time.sleep(self.chance.uniform(0, 3))
        process.kill()
        process.communicate()
        self.assertNotEqual(nodes(), [])
        self.finish(self.start("clean"), 0, timeout=90)
        self.assertEqual(nodes(), [])
        time.sleep(7)
        # Its temporary files nobody can tell from another run's.
        self.assert_nothing_left(files=False)
        self.assertIn("nothing to delete", self.finish(self.start("clean"), 0, timeout=30))
        self.assertEqual(docker("inspect", "--format", "{{.Id}}", other), other)


class WithoutEngine(OnKind):
    """A machine on which no Docker engine answers."""

    def run_without(self, exit_code, **variables):
        self.configure()
        self.example("good", "echo fine")
        started = time.monotonic()
        output = self.finish(self.start("run", DOCKER_HOST=f"unix://{self.root}/nobody.sock", **variables), exit_code, timeout=60)
        # It is known at once; a pull, or a wait for the engine, would take longer.
        self.assertLess(time.monotonic() - started, 20, output)
        [row] = self.report()["results"]
        self.assertRegex(row["reason"] + json.dumps(row["cause"]), "(?i)docker", row)
        self.assertRegex(output, "(?i)docker")
        self.assert_nothing_left()
        return row

    def test_in_ci_it_is_an_error(self):
        row = self.run_without(3, CI="true")
        self.assertEqual((row["outcome"], row["cause"]["class"]), ("errored", "cluster"), row)

    def test_elsewhere_the_basic_tier_runs(self):
        self.assertEqual(self.run_without(0)["outcome"], "skipped")


if __name__ == "__main__":
    unittest.main(verbosity=2)
