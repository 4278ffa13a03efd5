import os
import signal
import sys
from pathlib import Path

import pytest

from lab.bootstrap import engine
from lab.bootstrap.engine import Start
from lab.errors import LabError

FAKE_ENGINE = f"""#!{sys.executable}
import http.server, os, socketserver
print("listening", flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"OK")
    def address_string(self): return "client"
with socketserver.UnixStreamServer(os.environ["FAKE_SOCKET"], Answer) as server:
    server.serve_forever()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which `dockerd` is whatever a test writes, and no other engine is to be found."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(engine, "RUN_FOLDER", tmp_path / "run")
    monkeypatch.setattr("lab.endpoint._known_sockets", lambda *_: [tmp_path / "docker.sock"])
    yield tmp_path
    for file in tmp_path.glob("run/dockerd.pid"):
        try:
            os.kill(int(file.read_text()), signal.SIGKILL)
            os.waitpid(int(file.read_text()), 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def install(machine: Path, text: str) -> None:
    (machine / "bin/dockerd").write_text(text)
    (machine / "bin/dockerd").chmod(0o755)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_an_engine_started_here_outlives_us_in_a_session_of_its_own_with_its_log_and_pid_kept(machine):
    install(machine, FAKE_ENGINE)
    lines: list[str] = []

    endpoint = engine._start(Start.OWN_SESSION, {}, machine, lines.append)

    pid = int((machine / "run/dockerd.pid").read_text())
    assert endpoint.url == f"unix://{machine}/docker.sock"
    assert os.getsid(pid) == pid
    assert "listening" in (machine / "run/dockerd.log").read_text()
    assert str(machine / "run/dockerd.log") in lines[0]


def test_an_engine_that_will_not_start_is_reported_with_the_end_of_its_log(machine):
    install(machine, "#!/bin/sh\necho no cgroups here\nexit 5\n")

    with pytest.raises(LabError) as caught:
        engine._start(Start.OWN_SESSION, {}, machine, print)

    assert caught.value.what == "the Docker engine ended with 5"
    assert "no cgroups here" in caught.value.where
    assert caught.value.exit_code == 3
