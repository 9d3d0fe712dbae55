"""Likeness scores, whenever the embedder's weights arrive."""

from __future__ import annotations

import shutil
from pathlib import Path

from portraitd.engines.base import Photo, Portrait, PresetJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.faces.models import FaceModels
from portraitd.portraits.identities import astronaut
from portraitd.styles.catalog import load_catalog


def test_an_identity_trained_before_the_embedder_came_is_scored_after(embedder_folder: Path, tmp_path: Path) -> None:
    for path in embedder_folder.glob("*.tflite"):
        shutil.copy(path, tmp_path)
    engine = ClassicEngine(FaceModels(tmp_path))
    identity = engine.train([Photo("astronaut", astronaut())]).identity
    job = PresetJob(load_catalog().get("f_idcard_female"), identity, count=1, seed=1)

    def score() -> float | None:
        (portrait,) = engine.generate(job)
        assert isinstance(portrait, Portrait)
        return portrait.similarity

    assert score() is None
    for path in embedder_folder.glob("*.dat"):
        shutil.copy(path, tmp_path)
    later = score()
    assert later is not None
    assert later > 0.9
