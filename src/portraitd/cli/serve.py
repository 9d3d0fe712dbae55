"""`serve` and `worker`: the processes of the service."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from portraitd import logs
from portraitd.cli.weights import ensure_weights
from portraitd.errors import SetupError
from portraitd.settings import Settings, load_settings

if TYPE_CHECKING:
    import uvicorn

    from portraitd.wiring import FirstKey, House

_log = logging.getLogger(__name__)

#: How much longer than a worker's own drain the parent waits before it kills, in seconds.
_KILL_AFTER_S = 10


def serve() -> None:
    """Serve the API, with workers beside it, until Ctrl-C or SIGTERM."""
    from portraitd import wiring

    settings = load_settings()
    if settings.workers:
        _check_engine(settings)  # what every worker would fail at is said before anybody is told of a service
    _be_private()
    logs.to_stderr(settings.log_format)
    listener = _listen(settings)
    ensure_weights(settings)  # Ctrl-C still ends the process at once: a download has nothing to drain
    stop = _stop_on_signals()
    _start_fetching_embedder(settings)
    house = wiring.open_house(settings)
    _announce(settings, wiring.ensure_first_key(house))
    _serve_until(stop, house, listener)
    house.close()
    _log.info("stopped")


def _check_engine(settings: Settings) -> None:
    """Raises SetupError where no worker could start."""
    from portraitd import wiring

    wiring.load_engine(settings)
    if settings.engine == "diffusion":
        # In a process that ends: who looks at a card takes some of it, and torch takes memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
            apart.submit(wiring.engine_outlook, settings).result()


def worker(parent: Annotated[int, typer.Option(hidden=True)] = 0) -> None:
    """Do tasks until Ctrl-C or SIGTERM; `serve` starts these by itself, more machines may run their own."""
    from portraitd import wiring
    from portraitd.tasks.supervisor import follow_parent

    settings = load_settings()
    _be_private()
    logs.to_stderr(settings.log_format)
    stop = _stop_on_signals()
    if parent:
        follow_parent(parent, stop)
    engine = wiring.load_engine(settings)
    engine.warm()
    house = wiring.open_house(settings)
    status = wiring.build_worker(house, engine).run(stop, settings.drain_s)
    house.close()
    # A task that outlived the drain still holds its thread, which an ordinary exit would wait for.
    logging.shutdown()
    os._exit(status)


def _serve_until(stop: threading.Event, house: House, listener: socket.socket) -> None:
    """Run the web server in a thread and keep the workers alive from this one, until told to stop."""
    from portraitd.tasks.supervisor import Brood

    settings = house.settings
    server = _web_server(house)
    web = threading.Thread(target=server.run, args=([listener],), name="web")
    command = [sys.executable, "-m", "portraitd", "worker", "--parent", str(os.getpid())]
    brood = Brood(command, settings.workers)
    web.start()
    while not stop.wait(0.2) and web.is_alive():
        brood.tend()
    broke_down = not stop.is_set()
    server.config.app.state.stopping.set()  # type: ignore[union-attr]  # ours, not any application
    server.should_exit = True
    brood.stop(settings.drain_s + _KILL_AFTER_S)
    web.join()
    if broke_down:
        raise SetupError("the web server ended by itself; its last words are above")


def _web_server(house: House) -> uvicorn.Server:
    import uvicorn

    from portraitd import wiring

    config = uvicorn.Config(
        wiring.build_web(house),
        # uvicorn's own access log would write the signatures of links.
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=house.settings.drain_s or 1,
    )
    return uvicorn.Server(config)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket: opened first, so that a taken port is found before anything is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # Python adds the address, which is in the sentence already
        raise SetupError(
            f"cannot listen on {settings.host} port {settings.port}: {why}; "
            "choose another with PORTRAITD_HOST and PORTRAITD_PORT"
        ) from error
    # asyncio does this for sockets of its own making only. Connections inherit it; without it, a reply waits some 40 ms
    # for the client to acknowledge its head before its body is sent.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _start_fetching_embedder(settings: Settings) -> None:
    """Fetch the likeness scorer's weights behind everybody's back: it is large, and pictures come without it too."""
    from portraitd import wiring

    if settings.engine in wiring.ENGINES and wiring.weights_of(settings).missing("embedder"):
        threading.Thread(target=_fetch_embedder, args=(settings,), daemon=True, name="embedder").start()


def _fetch_embedder(settings: Settings) -> None:
    from portraitd import wiring

    _log.info("fetching the likeness scorer's weights (100 MB) in the background; results have no score until then")
    try:
        wiring.weights_of(settings).ensure("embedder")
        _log.info("the likeness scorer's weights are here: results are scored from now on")
    except SetupError as error:
        _log.warning("the likeness scorer's weights are missing, results come without a score: %s", error.message)


def _announce(settings: Settings, key: FirstKey | None) -> None:
    """Tell where the service is, and on the start that makes the first key also that key and how to use it."""
    say = Console(highlight=False, soft_wrap=True).print
    say(f"[bold]portraitd[/] listens on {settings.public_url}", markup=True)
    if key is None:
        say("API keys: see `portraitd key list` and `portraitd key create`")
    elif key.fresh is None:
        say(f"API key: in {key.path}", markup=False)
    else:
        say(f"API key: {key.fresh} (kept in {key.path}, shown only now)\n", markup=False)
        say(example(settings.public_url, key.fresh), markup=False)


def example(url: str, key: str) -> str:
    """Shell commands that make four ID photos of the built-in identity and fetch them; README.md shows them too."""
    return EXAMPLE.replace("http://127.0.0.1:8000", url).replace("$(cat portraitd-home/api-key)", key)


EXAMPLE = """\
Try it: four ID photos of the built-in identity. In another terminal, first

TASK=$(curl -sS 'http://127.0.0.1:8000/api/v1/services/aigc/album/gen_potrait' \\
  -H "Authorization: Bearer $(cat portraitd-home/api-key)" \\
  -H 'Content-Type: application/json' -H 'X-DashScope-Async: enable' \\
  -d '{
    "model": "facechain-generation",
    "parameters": {"style": "f_idcard_female", "size": "768*1024", "n": 4},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}]
  }' | sed 's/.*"task_id":"\\([^"]*\\)".*/\\1/'); echo "$TASK"

and then, to wait for the pictures and save them as portrait-1.jpg to portrait-4.jpg,

while sleep 1; do
  ANSWER=$(curl -sS "http://127.0.0.1:8000/api/v1/tasks/$TASK" \\
    -H "Authorization: Bearer $(cat portraitd-home/api-key)")
  case $ANSWER in *'"PENDING"'* | *'"RUNNING"'*) echo waiting ;; *) break ;; esac
done
echo "$ANSWER"; N=0
echo "$ANSWER" | grep -o '"url":"[^"]*"' | cut -d '"' -f 4 | while read -r LINK; do
  N=$((N + 1)); curl -sS "$LINK" -o "portrait-$N.jpg"
done
"""


def _stop_on_signals() -> threading.Event:
    """An event that the first SIGINT or SIGTERM sets; the second ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


def _be_private() -> None:
    """Files made from here on are for this user only: they are people's faces."""
    os.umask(0o077)
