"""A Python environment of the script's own: made once, found again by the digest of what was asked for.

A program calls `enter` first. It gives back only inside the environment: outside, it makes it and starts the program there.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSIDE = "CODEX_ML_PYTHON_ENVIRONMENT"


def enter(requirements, folder):
    """Goes on in an environment with these requirement files, kept in `folder` (or under `target/`).

    `pip` takes its settings from its own variables and files, PIP_INDEX_URL and the like.
    """
    if os.environ.get(INSIDE):
        return
    text = "".join(path.read_text() for path in requirements)
    digest = hashlib.sha256((text + sys.version).encode()).hexdigest()
    folder = pathlib.Path(folder) if folder else ROOT / "target" / f"python-{digest[:12]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "codex-ml-requirements"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"making a Python environment in {folder}: some minutes and gigabytes, once", file=sys.stderr, flush=True)
        if not python.exists():
            venv.create(folder, with_pip=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for path in requirements:
            command += ["-r", path]
        subprocess.run(command, check=True, stdout=sys.stderr)
        stamp.write_text(digest)
    # Nothing is downloaded from here on: every model is made by the checks, or comes from a package.
    env = dict(os.environ, **{INSIDE: str(folder), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    sys.exit(subprocess.run([python, *sys.argv], env=env).returncode)


def versions(*names):
    """The versions of some installed packages and of Python."""
    from importlib.metadata import version

    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    found.update((name, version(name)) for name in names)
    return found
