"""Writes what is generated: the code of the contract, and the client for threads out of the one for asyncio.

python tools/generate.py [DIRECTORY]: into the package, or into a directory to compare with it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PROTO = HOME.parent.parent / "proto"
CONTRACT = "iotoperations/secrets/v1/secret_service.proto"
PACKAGE = "iotoperations_secrets"
SOURCE = HOME / "src" / PACKAGE

MIRRORED = ("_client.py", "_pager.py", "_watch.py")
# In this order: from what asyncio says to what threads say.
WORDS = (
    (r"from \.\.(\w)", r"from .\1"),
    (r"async def", "def"),
    (r"async (with|for)", r"\1"),
    (r"await ", ""),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"__anext__", "__next__"),
    (r"__aiter__", "__iter__"),
    (r"StopAsyncIteration", "StopIteration"),
    (r"Awaitable\[(.*?\])\]", r"\1"),
    (r", Awaitable", ""),
    (r"Async(\w)", r"\1"),
)


def main() -> None:
    """Generates everything."""
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    contract(into / "v1")
    for name in MIRRORED:
        mirror(SOURCE / "aio" / name, into / name)


def contract(into: Path) -> None:
    """The messages and stubs of the contract, as modules of the package."""
    into.mkdir(parents=True, exist_ok=True)
    plugins = Path(sys.executable).parent
    made = into / "made"
    made.mkdir()
    run(
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTO}",
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--python_out={made}",
        f"--grpc_python_out={made}",
        f"--mypy_out=quiet:{made}",
        f"--mypy_grpc_out=quiet:{made}",
        CONTRACT,
    )
    directory = made / Path(CONTRACT).parent
    for file in directory.iterdir():
        # The generators know no other place for the module than the path of the proto.
        text = file.read_text().replace("from iotoperations.secrets.v1 import", f"from {PACKAGE}.v1 import")
        (into / file.name).write_text(text)
        file.unlink()
    for parent in (directory, *list(directory.parents)[:3]):
        parent.rmdir()


def mirror(source: Path, target: Path) -> None:
    """The same code for threads."""
    text = source.read_text()
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    note = f"# Generated from aio/{source.name} by tools/generate.py: change that one.\n"
    target.write_text(note + text)
    ruff = str(Path(sys.executable).parent / "ruff")
    run(
        ruff,
        "check",
        "--quiet",
        "--fix",
        "--select=I",
        "--config",
        str(HOME / "pyproject.toml"),
        str(target),
    )
    run(ruff, "format", "--quiet", "--config", str(HOME / "pyproject.toml"), str(target))


def run(*command: str) -> None:
    """Runs a command that must succeed."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
