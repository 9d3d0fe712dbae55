"""Makes `src/portraitd/faces/data/face_look.npz`: the average looks of eyes, nose and mouth.

Usage: python benchmarks/face_look.py FOLDER_OF_PORTRAITS [...]
Each look is the mean over all faces and their mirror images. Mouths differ too much for one mean: they are parted into
three groups (k-means) first. The pictures themselves cannot be had back from the means.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from portraitd.faces import look
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, decode
from portraitd.weights.store import WeightStore

MOUTHS = 3


def looks_of(models: FaceModels, image: Image) -> dict[str, np.ndarray]:
    """(h, w) looks of the parts of the picture's largest face."""
    crop = look.face_crop(image, fit_mesh(models, image, detect_faces(models, image)[0]))
    grey = crop.image[..., 1].astype(np.float32)
    return {name: look.part_look(grey, crop.points, part) for name, part in look.parts().items()}


def averages(samples: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """(k, h, w) means by part."""
    eyes = np.stack([s["left_eye"] for s in samples] + [s["right_eye"][:, ::-1] for s in samples]).mean(axis=0)
    means = {"left_eye": eyes[None], "right_eye": eyes[None, :, ::-1]}
    means["nose"] = np.stack([n for s in samples for n in (s["nose"], s["nose"][:, ::-1])]).mean(axis=0)[None]
    mouths = np.stack([m for s in samples for m in (s["mouth"], s["mouth"][:, ::-1])])
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 100, 0.0)
    cv2.setRNGSeed(1)
    flat = mouths.reshape(len(mouths), -1)
    _, label, _ = cv2.kmeans(flat, MOUTHS, None, criteria, 20, cv2.KMEANS_PP_CENTERS)
    groups = [mouths[label.ravel() == group].mean(axis=0) for group in range(MOUTHS)]
    means["mouth"] = np.stack([(group + group[:, ::-1]) / 2 for group in groups])
    return means


def main() -> None:
    from skimage.data import astronaut

    store = WeightStore()
    store.ensure("classic")
    models = FaceModels(store.folder)
    # Eyes behind dark glasses would spoil the mean.
    paths = [p for f in sys.argv[1:] for p in sorted(Path(f).rglob("*.*")) if p.suffix in {".png", ".jpg"}]
    images = [decode(path.read_bytes()) for path in paths if "glasses" not in path.stem]
    means = averages([looks_of(models, image) for image in [*images, astronaut()]])
    target = Path(look.__file__).parent / "data" / "face_look.npz"
    np.savez_compressed(target, **{name: mean.astype(np.float16) for name, mean in means.items()})
    print(f"{target}: {target.stat().st_size} bytes from {len(images) + 1} faces")


if __name__ == "__main__":
    main()
