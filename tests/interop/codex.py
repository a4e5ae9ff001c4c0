"""codex-ml as a user has it: the built binary and the built example programs, started as processes."""

import json
import os
import pathlib
import shutil
import subprocess

from table import Failed


class Codex:
    """Where the build is, and a folder to work in."""

    def __init__(self, release, work):
        suffix = ".exe" if os.name == "nt" else ""
        self.release = pathlib.Path(release).resolve()
        self.work = pathlib.Path(work).resolve()
        self.binary = self.release / f"codex-ml{suffix}"
        self.suffix = suffix
        self.env = dict(os.environ, HOME=str(self.work / "home"), XDG_CACHE_HOME=str(self.work / "cache"))

    def run(self, *arguments, stdin=""):
        """Standard output of one command; any other exit code than 0 fails the check with what it said."""
        command = [self.binary, "--threads", "2", "--quiet", *map(str, arguments)]
        return self._start(command, stdin)

    def example(self, name, *arguments, stdin=""):
        """Standard output of one example program."""
        return self._start([self.release / "examples" / f"{name}{self.suffix}", *map(str, arguments)], stdin)

    def _start(self, command, stdin):
        done = subprocess.run(command, input=stdin.encode("utf-8"), capture_output=True, cwd=self.work, env=self.env)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise Failed(f"{' '.join(map(str, command[1:6]))} … ended with {done.returncode}: {said}")
        return done.stdout.decode("utf-8")

    def train(self, name, *settings):
        """One run; gives its exported folder and its events."""
        shutil.rmtree(self.work / "runs" / name, ignore_errors=True)
        self.run("train", f"run.name={name}", f"run.dir={self.work / 'runs'}", *settings)
        run = self.work / "runs" / name
        events = [json.loads(line) for line in (run / "events.ndjson").read_text().splitlines()]
        return run / "model", events

    def outputs(self, folder, sequences, **request):
        """What the model in a folder gives for sequences of ids, through `examples/outputs.rs`."""
        request |= {"path": str(folder), "sequences": sequences}
        return json.loads(self.example("outputs", stdin=json.dumps(request)))
