"""The face networks, loaded when first used and shared by all threads of a process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from portraitd.errors import SetupError
from portraitd.images import Floats

_THREADS = 2
#: Sparse kernels run on one thread: a second would only wait.
_SINGLE_THREADED = ("face_detection_full_range_sparse.tflite",)


class Network:
    """One TFLite network. Calls are serialised: an interpreter owns its tensors."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]
        self._lock = threading.Lock()

    def __call__(self, batch: Floats) -> list[Floats]:
        """The network's outputs for one (1, H, W, 3) float32 input, in the order of the file."""
        with self._lock:
            self._interpreter.set_tensor(self._input, batch)
            self._interpreter.invoke()
            return [np.asarray(self._interpreter.get_tensor(index)) for index in self._outputs]


class FaceModels:
    """All networks of a weights folder, by file name, each loaded once at its first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._networks: dict[str, Network] = {}
        self._lock = threading.Lock()

    def path(self, name: str) -> Path:
        """Where a weight file lies; raises SetupError when it is missing."""
        path = self.folder / name
        if not path.is_file():
            raise SetupError(f"weight file {path} is missing: run `portraitd weights pull`")
        return path

    def network(self, name: str) -> Network:
        """The TFLite network in `name`; raises SetupError when the file is missing."""
        with self._lock:
            if name not in self._networks:
                self._networks[name] = Network(self.path(name), 1 if name in _SINGLE_THREADED else _THREADS)
            return self._networks[name]

    def forget(self, name: str) -> None:
        """Let go of a network that is large and seldom asked: it is loaded anew when it is."""
        with self._lock:
            self._networks.pop(name, None)
