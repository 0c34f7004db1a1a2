"""The release binary in whole repositories, with real git and kubectl: what no test of a single room can show.

Run by `.ci/run` as `python3 tests/e2e/basic_tier.py PROGRAM`. Standard library only.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
MAX_BINARY_BYTES = 35_000_000

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - {{name: main, image: "docker.io/library/busybox:1.37.0"}}
"""


class Repository(unittest.TestCase):
    """A repository in a temporary folder."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *arguments):
        identity = ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def run_program(self, *arguments, exit_code=0, **variables):
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            [PROGRAM, *arguments], cwd=self.root, env=kept | variables, capture_output=True, text=True, timeout=120
        )
        self.assertEqual(done.returncode, exit_code, done.stdout + done.stderr)
        return done

    def report(self):
        return json.loads((self.root / "example-validator-report" / "report.json").read_text())


class WithGit(Repository):
    """A pull request of one changed example."""

    def setUp(self):
        super().setUp()
        for name in ("one", "two"):
            self.write(f"examples/{name}.yaml", JOB.format(name=name))
        self.git("init")
        self.git("add", "-A")
        self.git("commit", "-m", "base")
        self.git("branch", "base")
        self.write("examples/two.yaml", JOB.format(name="renamed"))
        self.git("commit", "-am", "change")

    def test_a_pull_request_runs_what_it_changes(self):
        done = self.run_program(
            "plan", "--format", "json", "--kubernetes", "v1.34.0",
            GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="pull_request", GITHUB_BASE_REF="base",
        )
        rows = {row["example"]: row for row in json.loads(done.stdout)["rows"]}
        self.assertTrue(rows["examples/two.yaml"]["selected"] and rows["examples/two.yaml"]["kubernetes"])
        self.assertIn("changed", rows["examples/two.yaml"]["reason"])
        self.assertIsNone(rows["examples/one.yaml"]["kubernetes"])

    def test_without_a_base_everything_runs_and_the_plan_says_why(self):
        done = self.run_program(
            "plan", "--kubernetes", "v1.34.0",
            GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="pull_request", GITHUB_BASE_REF="gone",
        )
        self.assertIn("fetch-depth", done.stdout)
        self.assertIn("2 on a cluster", done.stdout)


class Reports(Repository):
    """What a run leaves behind."""

    def test_every_file_is_whole_and_agrees_with_the_others(self):
        self.write("examples/good.yaml", JOB.format(name="good"))
        self.write("examples/bad.yaml", JOB.format(name="Bad"))
        summary = self.root / "step-summary.md"
        self.run_program(
            "run", exit_code=1,
            GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="push", INPUT_TIER="basic", GITHUB_STEP_SUMMARY=str(summary),
        )
        folder = self.root / "example-validator-report"
        self.assertEqual(
            sorted(path.name for path in folder.iterdir()), ["junit.xml", "plan.json", "report.html", "report.json", "summary.md"]
        )
        report = self.report()
        self.assertEqual(report["summary"]["conclusion"], "failure")
        suites = xml.etree.ElementTree.parse(folder / "junit.xml").getroot()
        self.assertEqual(suites.attrib["failures"], "1")
        # The step's summary has links and commands besides.
        told, kept = summary.read_text(), (folder / "summary.md").read_text()
        self.assertEqual(told.splitlines()[0], kept.splitlines()[0])
        for text in (told, kept):
            self.assertIn("examples/bad.yaml", text)
        self.assertIn("example-validator lint --examples examples/bad.yaml", told)

    def test_a_folder_that_cannot_be_written_is_named(self):
        self.write("examples/good.yaml", JOB.format(name="good"))
        self.write("blocked", "a file stands where the folder should be")
        done = self.run_program("run", "--tier", "basic", "--output", "blocked", exit_code=3)
        self.assertIn("blocked", done.stderr)
        self.assertIn("1 passed", done.stdout, "what was found is shown all the same")


class Starter(Repository):
    """`init`, then what a maintainer does next."""

    def test_the_starter_config_is_valid_and_finds_the_examples(self):
        self.write("examples/good.yaml", JOB.format(name="good"))
        self.run_program("init")
        self.run_program("run", "--tier", "basic")
        self.assertEqual([row["example"] for row in self.report()["results"]], ["examples/good.yaml"])


class Kustomize(Repository):
    """Real kubectl."""

    def test_a_kustomize_folder_is_judged_as_it_renders(self):
        self.write("examples/app/kustomization.yaml", "namePrefix: dev-\nresources: [../../base]\n")
        self.write("base/kustomization.yaml", "resources: [job.yaml]\n")
        self.write("base/job.yaml", JOB.format(name="app"))
        self.run_program("run", "--tier", "basic")
        row = self.report()["results"][0]
        self.assertEqual((row["example"], row["objects"]), ("examples/app", ["Job/dev-app"]))

    def test_the_operators_overlay_brings_the_crds(self):
        shared = pathlib.Path(__file__).resolve().parents[3] / "shared" / "kubeflow-v1"
        if not shared.exists():
            self.skipTest("Kubeflow's manifests are not here")
        config = f"version: 1\noperator: [{{kustomize: {shared}/manifests/overlays/standalone}}]\n"
        self.write(".github/example-validator.yml", config)
        done = self.run_program("lint", "--format", "json", str(shared / "examples"), exit_code=1)
        rows = json.loads(done.stdout)["results"]
        self.assertEqual(len(rows), 31)
        self.assertEqual(sum(row["outcome"] == "failed" for row in rows), 2)
        self.assertNotIn("EV201", done.stdout)


class Binary(unittest.TestCase):
    """The program itself."""

    def test_it_is_small(self):
        self.assertLess(PROGRAM.stat().st_size, MAX_BINARY_BYTES)


if __name__ == "__main__":
    unittest.main(verbosity=2)
