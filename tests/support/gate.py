"""The gate for pull requests (loadtest/compare/gate.yml), run here by its own steps, for a server in C."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.processes import ROOT

WORKFLOW: Final = ROOT / "loadtest" / "compare" / "gate.yml"

SHELL: Final = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
"""What `shell: bash` means in a workflow."""

_PATIENCE: Final = 900.0  # seconds for one step

SERVER: Final = r"""
/* A thread for each client; ROUNDS of a hash are nine tenths of what a request costs. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 30000

static volatile uint32_t hashes;

static uint32_t hash(const char *line, ssize_t length) {
  uint32_t found = 2166136261u;
  for (int i = 0; i < ROUNDS; i++) found = (found ^ (uint8_t)line[i % length]) * 16777619u;
  return found;
}

static void *converse(void *argument) {
  int client = (int)(intptr_t)argument, on = 1;
  FILE *lines = fdopen(client, "r");
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  while ((length = getline(&line, &room, lines)) > 5) {
    hashes = hash(line, length);
    line[2] = 'O', line[3] = 'K'; /* ECHO text -> OK text */
    if (write(client, line + 2, length - 2) < 0) break;
  }
  free(line);
  fclose(lines);
  return NULL;
}

int main(int count, char **arguments) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[count - 1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
  for (;;) {
    pthread_t thread;
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    if (!pthread_create(&thread, NULL, converse, (void *)(intptr_t)client)) pthread_detach(thread);
  }
}
"""

BUILD: Final = "gcc -O2 -pthread -o server server.c"


SLOWED: Final = SERVER.replace("#define ROUNDS 30000", "#define ROUNDS 36600")
"""Its work is 22 % more, and so the whole request 20 %."""


def steps() -> list[str]:
    """Return the commands of the workflow's steps, in order."""
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a gate came to: the exit status of its last step, what that printed, and the job's summary."""

    status: int
    said: str
    summary: str


class Gate:
    """
    A runner with the lab on it, whose gate judges pull requests of repositories made here.

    folder: an empty one, for all that it writes.
    """

    def __init__(self, folder: Path) -> None:
        """Do the workflow's steps up to the one that measures; RuntimeError if one fails."""
        self.folder = folder
        self.temporary = folder / "temporary"
        self.temporary.mkdir(parents=True)
        self._environment = _environment(_source(folder / "source"))
        *before, self._measure = steps()
        for step in before:
            done = self._run(step, folder)
            if done.status:
                raise RuntimeError(f"{step}\nended with {done.status}: {done.said}")
            _provide_packages(self.temporary / "lab")

    def judge(self, before: str, after: str) -> Judged:
        """Judge the pull request that makes the server's source `after` of `before`."""
        workspace = _pull_request(self.folder, before, after)
        shutil.rmtree(self.temporary / "results", ignore_errors=True)
        try:
            return self._run(self._measure, workspace)
        finally:
            shutil.rmtree(workspace)

    @property
    def result(self) -> Path:
        """The file of the last result."""
        return self.temporary / "results" / "latest" / "compare.json"

    def _run(self, step: str, workspace: Path) -> Judged:
        summary = self.folder / "summary.md"
        summary.write_text("")
        of_step = {"GITHUB_WORKSPACE": str(workspace), "GITHUB_STEP_SUMMARY": str(summary)}
        shell = subprocess.Popen(
            [*SHELL, step],
            cwd=workspace,
            env={**self._environment, **of_step, "RUNNER_TEMP": str(self.temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = shell.communicate(timeout=_PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        return Judged(shell.returncode, said, summary.read_text())


def _environment(source: Path) -> dict[str, str]:
    """Return the workflow's environment, with the values that its reader is to set."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    of_workflow: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["env"]
    commit = _git(source, "rev-parse", "HEAD").strip()
    return {**kept, **of_workflow, "LAB": str(source), "LAB_COMMIT": commit, "BUILD": BUILD}


def _source(folder: Path) -> Path:
    """Make a repository with one commit: the lab's files, as they are here."""
    folder.mkdir()
    names = _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    _git(folder, "init", "--quiet")
    _commit(folder, "the lab")
    return folder


def _provide_packages(lab: Path) -> None:
    """Give the lab the packages of the Python that runs this, so that `make` has none to fetch."""
    if (lab / ".venv").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", lab / ".venv"], check=True)
    [packages] = (lab / ".venv" / "lib").glob("python*/site-packages")
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (lab / ".venv" / "ready").touch()


def _pull_request(folder: Path, before: str, after: str) -> Path:
    """Make a repository, and in it a pull request; return a shallow clone of its merge, as a runner has it."""
    origin, workspace = folder / "origin", folder / "workspace"
    origin.mkdir()
    _git(origin, "init", "--quiet", "--initial-branch=main")
    (origin / "server.c").write_text(before)
    _commit(origin, "the server")
    _git(origin, "switch", "--quiet", "--create", "change")
    (origin / "server.c").write_text(f"{after}\n/* changed */\n")
    _commit(origin, "a change")
    _git(origin, "switch", "--quiet", "--detach", "main")
    _git(origin, "merge", "--quiet", "--no-ff", "--no-edit", "change")
    _git(folder, "clone", "--quiet", "--depth=2", f"file://{origin}", str(workspace))
    shutil.rmtree(origin)
    return workspace


def _commit(folder: Path, about: str) -> None:
    _git(folder, "add", "--all", "--force")
    _git(folder, "commit", "--quiet", "--message", about)


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout
