"""Opens codex-ml's folders with other people's libraries, and theirs with codex-ml: see README.md.

    cargo build --release --workspace --all-targets
    python tests/interop/run.py [--environment FOLDER] [--release FOLDER] [--work FOLDER] [--only WORD …]
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from environment import ROOT, enter, versions  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environment", help="where to keep the Python environment (target/python-… else)")
    parser.add_argument("--release", default=ROOT / "target" / "release", help="the folder with the built binary and plugins")
    parser.add_argument("--work", help="where to put models and runs, and leave them (a temporary folder else)")
    parser.add_argument("--only", nargs="*", default=[], help="make only the checks whose name holds one of these words")
    parser.add_argument("--write-golden", action="store_true", help="make tests/golden/wordpiece anew and end")
    options = parser.parse_args()
    enter([HERE / "requirements.txt"], options.environment)

    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(2)
    import check_adapters
    import check_decoders
    import check_encoders
    import check_minilm
    import check_tokenizers
    from codex import Codex
    from table import Table

    if options.write_golden:
        print(check_tokenizers.golden(write=True))
        return 0
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="codex-ml-interop-"))
    work.mkdir(parents=True, exist_ok=True)
    codex = Codex(options.release, work)
    needed = [codex.binary, *(codex.release / "examples" / f"{name}{codex.suffix}" for name in ("outputs", "interop"))]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        print(f"not built: {', '.join(missing)}\ncargo build --release --workspace --all-targets", file=sys.stderr)
        return 2
    print(", ".join(f"{name} {version}" for name, version in versions("torch", "transformers", "peft", "sentence-transformers", "tokenizers").items()))
    minilm = check_minilm.folder()
    table = Table(options.only)
    try:
        for module in (check_tokenizers, check_decoders, check_encoders, check_minilm, check_adapters):
            module.run(codex, minilm, table)
        return table.finish()
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


sys.exit(main())
