"""A real `secret-service dev` on a directory and a port of its own, to be asked, killed and started again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

PATIENCE = 30.0
_OURS = ("SECRET_SERVICE_", "AZURE_", "KUBE", "RUST_LOG")


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """The process; whatever it stored is found again after a restart."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # The first start takes a free port; later ones come back to it.
        self.target = "127.0.0.1:0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Starts it, and waits until it is ready."""
        told = self.directory / "data" / "dev.json"
        told.unlink(missing_ok=True)
        # What the machine has set must not decide a test.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    os.environ["SECRET_SERVICE_BINARY"],
                    "dev",
                    f"--listen={self.target}",
                    f"--data-dir={told.parent}",
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        begun = time.monotonic()
        while not told.exists():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() - begun < PATIENCE, self.log()
            time.sleep(0.02)
        self.target = json.loads(told.read_text())["grpc"]

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """What it wrote until now."""
        return (self.directory / "log").read_text(errors="replace")
