"""Workflows run by act, and what it leaves of them."""

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import zipfile

from action_ground import BASE, DOCUMENTS, GROUND, NETWORK, TOKEN, TOOLS, InARepository, free_port

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
        environment |= {"HOME": str(GROUND.home), "XDG_CACHE_HOME": str(GROUND.home), "XDG_CONFIG_HOME": str(GROUND.home)}
        variables = {"GITHUB_API_URL": github.url if github else "http://127.0.0.1:9", "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK} | variables
        command = [
            TOOLS / "act", event, "--json", "--platform", f"ubuntu-latest={BASE}", "--network", "bridge", "--pull=false", "--rm",
            "--eventpath", event_file, "--secret", f"GITHUB_TOKEN={TOKEN}",
            *(part for name, value in variables.items() for part in ("--env", f"{name}={value}")),
            "--artifact-server-path", self.folder / "artifacts", "--artifact-server-addr", GROUND.gateway, "--artifact-server-port", free_port(),
            "--cache-server-path", self.folder / "cache", "--cache-server-addr", GROUND.gateway, *more,
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
