# SPDX-License-Identifier: LGPL-2.1-or-later
"""One play of the script after the other on one rig, each with a SIGKILL at one call."""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from crash.checks import Scene, examine, leftovers, scene, silence
from crash.client import BusStage, Client, Say, said, script
from crash.page import Page
from crash.points import NOT_REACHED, WORKER, Point
from crash.rig import PATIENCE, CountedDaemon, stop_process
from crash.story import DRIVE, NEW_UUID, OLD, OLD_UUID, TAPE, Truth, label_anew, label_set

_TRACES = 3
_TRIES = 5
VICTIMS = ("client", "worker", "daemon")
_CONFIG = '[drive.{0}]\ntype = "virtual"\npath = "{1}"\nmax-size = "64 MiB"\nbuffer = "2 MiB"\n'


class Kills:
    """A daemon below ``folder``, and the tape as every play of the script finds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tapes = folder / "tapes"
        self.tapes.mkdir(parents=True)
        self.daemon = CountedDaemon(folder, _CONFIG.format(DRIVE, self.tapes))
        self.page = self.daemon.page
        self.template = folder / "template"
        self._plays = 0
        self._used_tape()

    def close(self) -> None:
        self.daemon.stop()

    def _used_tape(self) -> None:
        """Make the tape as it was used before the script."""

        async def use(stage: BusStage, say: Say) -> None:
            await stage.job("LoadMedia", {"label-text": TAPE}, {"create": True})
            await label_anew(stage, OLD_UUID)
            await label_set(stage, OLD_UUID)
            await stage.write(OLD)
            await stage.job("EjectMedia", {}, {})
            await stage.told("")

        self._do(use)
        shutil.copytree(self.tapes, self.template)

    def _do(self, work: Any) -> list[list[Any]]:
        """What a client says that does ``work`` to its end."""
        client = self._client(work)
        words = list(said(client))
        assert client.close() == 0, words
        return words

    def _client(self, work: Any) -> Client:
        return Client(self.daemon.address, self.folder / "run" / "drives" / DRIVE, work)

    def _script(self) -> Any:
        """The next play of the script."""
        self._plays += 1
        return partial(script, uuid=self._uuid)

    @property
    def _uuid(self) -> str:
        return NEW_UUID.format(self._plays)

    def reset(self) -> None:
        """Everything as it was before the script; the drive is idle."""
        for path in self.tapes.iterdir():
            if path.name != ".drive.lck":
                path.unlink()
        for path in self.template.iterdir():
            if path.name != ".drive.lck":
                shutil.copyfile(path, self.tapes / path.name)
        for record in (self.folder / "state" / "labels").iterdir():
            record.unlink()

    def points(self) -> list[tuple[Point, str]]:
        """Every call of the undisturbed script, in order, with its name.

        A job that takes its time has a state text that a quick one has not: the shortest of some plays.
        """
        return min((self._trace() for _ in range(_TRACES)), key=len)

    def _trace(self) -> list[tuple[Point, str]]:
        self.reset()
        self.page.arm(None, trace=True)
        words = self._do(self._script())
        assert words[-1] == ["done", "release"], words
        calls = self.page.trace()
        self.page.arm(None)
        return calls

    # --- one run --------------------------------------------------------------------------------

    def run(self, point: Point, victim: str) -> list[str]:
        """Kill ``victim`` at ``point``, start again, look; what is wrong, with the point in front."""
        for _ in range(_TRIES):
            if (found := self._try(point, victim)) is not None:
                return found
        return [f"{victim} at {point}: {NOT_REACHED}"]

    def _try(self, point: Point, victim: str) -> list[str] | None:
        """As `run`; None when the script does not come to the point this time."""
        self.reset()
        began = len(self.daemon.log())
        self.page.arm(point)
        client = self._client(self._script())
        words: list[list[Any]] = []
        if not self._reach(client, words):
            client.close()
            return None
        crashed = len(self.daemon.log())
        before = self._kill(victim, client, point)
        words += said(client)
        client.close()
        if victim == "daemon":
            self.daemon.start()
        faults = self._look(victim, words, before, began, crashed)
        return [f"{victim} killed at {point}: {fault}" for fault in faults]

    def _reach(self, client: Client, words: list[list[Any]]) -> bool:
        """Wait until somebody comes to the point; False when the client ends before."""
        reached = self.page.pipe("reached")
        while True:
            ready, _, _ = select.select([reached, client.fd], [], [], PATIENCE)
            assert ready, f"nothing happens any more: {words}"
            if client.fd in ready:
                news = client.listen()
                words += news
                if not news:
                    return False
            elif reached in ready:
                self.page.drain("reached")
                return True

    def _kill(self, victim: str, client: Client, point: Point) -> Scene:
        """Kill, and let whoever waits at the point go on; what is there at that moment."""
        if victim == "client":
            self.page.drain("noticed")
            client.kill()
            assert self.page.wait("noticed", PATIENCE), "the daemon does not notice that its client is gone"
        elif victim == "worker":
            stop_process(self.page.worker)
        else:
            self.daemon.kill()
        found = scene(self.folder)
        self.page.disarm()
        if victim != ("worker" if point.stream == WORKER else "daemon"):
            self.page.tell("go")
        return found

    def _look(
        self, victim: str, words: list[list[Any]], before: Scene, began: int, crashed: int
    ) -> Iterator[str]:
        """Use the drive, and see what was said and what is left."""
        truth = Truth(self._uuid)
        for word in words:
            if word[0] in ("begun", "done", "durable", "lost"):
                truth = truth.after(*word)
        yield from _last_words(victim, words, truth)

        async def look(stage: BusStage, say: Say) -> None:
            for fault in await examine(stage, self.tapes, truth, self.daemon.log):
                say(fault)

        for words_of_user in self._do_anyway(look):
            yield " ".join(map(str, words_of_user))
        log = self.daemon.log()
        if victim == "worker":
            yield from silence(log, crashed, before)
        elif victim == "daemon":
            yield from silence(log, crashed, before, orphan=self.tapes)
        if "Traceback" in log[began:]:
            yield f"a fault in the program: {log[began:]}"
        yield from leftovers(self.folder)

    def _do_anyway(self, work: Any) -> list[list[Any]]:
        client = self._client(work)
        words = list(said(client))
        client.close()
        return words


def _last_words(victim: str, words: list[list[Any]], truth: Truth) -> Iterator[str]:
    """What the client was told of the end."""
    ends = [word for word in words if word[0] in ("refused", "cut off", "fault")]
    if victim == "worker":
        for word in ends:
            if word[:2] != ["refused", "DeviceFailed"] or "was killed by signal 9" not in word[2]:
                yield f"the client is told {word}"
        undurable = "write b" in truth.done and not truth.done & {"write c", "release"}
        if undurable and truth.durable_file <= 3 and ["lost", "3"] not in words:
            yield "file 3 was not known to be durable, and nobody tells that it may be lost"
    elif victim == "daemon" and [word[0] for word in ends] != ["cut off"]:
        yield f"the client is told {ends}"


class StartAndStop:
    """A daemon on empty directories below ``folder``: its first start, and its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tapes").mkdir(parents=True)
        self.page = Page(folder)
        self._daemon: CountedDaemon | None = None

    def close(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()

    def points(self) -> list[Point]:
        """Every call of the bus process."""
        self.page.arm(None, trace=True)
        daemon = self._start()
        daemon.await_service()
        assert daemon.terminate() == 0
        return [point for point, _ in self.page.trace()]

    def run(self, point: Point) -> list[str]:
        """Kill the daemon at ``point``, start again; what is wrong."""
        self.page.arm(point)
        daemon = self._start()
        if not self._reach(daemon):
            return [f"{point}: the daemon does not come there"]
        daemon.kill()
        self.page.disarm()
        daemon.start()
        text = self.folder / "run" / "drives" / DRIVE
        client = Client(daemon.address, text, _come_and_go)
        faults = [f"the next client is told {words}" for words in said(client)]
        client.close()
        return [f"daemon killed at {point}: {fault}" for fault in (*faults, *leftovers(self.folder))]

    def _start(self) -> CountedDaemon:
        self._daemon = CountedDaemon(self.folder, _CONFIG.format(DRIVE, self.folder / "tapes"), wait=False)
        return self._daemon

    def _reach(self, daemon: CountedDaemon) -> bool:
        """Wait until the daemon comes to the point; once it serves, it is told to stop."""
        reached, serving = self.page.pipe("reached"), self.page.pipe("serving")
        ended = os.pidfd_open(daemon.pid)
        try:
            while True:
                ready, _, _ = select.select([reached, serving, ended], [], [], PATIENCE)
                assert ready, "nothing happens any more"
                if reached in ready:
                    self.page.drain("reached")
                    return True
                if serving in ready:
                    self.page.drain("serving")
                    daemon.signal(signal.SIGTERM)
                elif ended in ready:
                    return False
        finally:
            os.close(ended)


async def _come_and_go(stage: BusStage, say: Say) -> None:
    """Take the drive and give it back."""
    await stage.acquire()
    await stage.release()
