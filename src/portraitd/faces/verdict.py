"""Whether a picture of a face can be used, and if not why: measurements against limits (wire-contract section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portraitd.errors import (
    BadFacePose,
    BadLight,
    FaceCovered,
    FaceTooSmall,
    MultipleFaces,
    NoHumanFace,
    PortraitdError,
)
from portraitd.faces import regions
from portraitd.faces.cover import CoverHints, measure_cover
from portraitd.faces.detect import DetectedFace, detect_faces
from portraitd.faces.light import Light, measure_light
from portraitd.faces.look import CROP_PX, MARGIN, FaceCrop, face_crop
from portraitd.faces.mesh import MESH_SCORE, FaceMesh, fit_mesh, main_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import Pose, pose_of
from portraitd.faces.sharpness import blur_share
from portraitd.faces.shrink import shrunk
from portraitd.images import Image, Points

#: Longer side, at most, of the copy that faces are looked for in (the detector itself sees 192 px of it; from 1200 px
#: on it goes through tiles too), and of the one for tiles when nothing was found.
WORK_PX = 1199
TILED_PX = 2399
#: Crown to chin over hairline to chin.
HEAD_PER_FACE = 1.28
#: A second face is looked for with less confidence asked of the detector and more of the landmark network: true ones
#: reach 0.99 there, helmets and folds of cloth 0.85.
OTHER_SCORE = 0.4
OTHER_MESH_SCORE = 0.95


@dataclass(frozen=True)
class VerdictLimits:
    """What a picture must measure up to. Angles are limits of the measured angle, either way."""

    #: Square that holds the head from crown to chin, px. The contract says "face" and not how it is framed; this is
    #: the widest reading of it.
    head_px: float = 128.0
    yaw_deg: float = 35.0
    pitch_deg: float = 30.0
    roll_deg: float = 45.0
    #: Another face counts from this share of the main face's area.
    other_face_share: float = 0.25
    #: Blur's sigma over the face's height.
    blur_share: float = 0.0104
    #: sRGB luma that the lightest skin must reach.
    luma_high: float = 55.0
    #: Share of the skin that may be burnt out.
    burnt_share: float = 0.6
    #: Linear light of the brighter half of the face over that of the darker.
    side_ratio: float = 6.0

    @classmethod
    def detect(cls) -> VerdictLimits:
        """The face check and training photos: one face, larger than 128 px, clear (section 3)."""
        return cls()

    @classmethod
    def photo(cls) -> VerdictLimits:
        """A user's photo in train-free mode: turned by 15 degrees at most (section 1.2); the mesh may err by 10."""
        return cls(yaw_deg=25.0, pitch_deg=25.0)

    @classmethod
    def template(cls) -> VerdictLimits:
        """A template: one person, seen and not covered; light, grain and softness are the template's own business."""
        return cls(
            yaw_deg=45.0,
            pitch_deg=35.0,
            roll_deg=60.0,
            head_px=96.0,
            blur_share=0.02,
            luma_high=30.0,
            burnt_share=0.9,
            side_ratio=40.0,
        )


@dataclass(frozen=True)
class Measures:
    """Everything that was measured; `portraitd detect` prints it."""

    #: Faces that count: the main one, and others that are large enough beside it.
    faces: int
    #: Hairline to chin and ear to ear, px of the picture, and the square that the limit is for.
    face_width_px: float
    face_height_px: float
    head_px: float
    pose: Pose
    light: Light
    #: Sigma of the face's blur over its height, and the height in px that a sharp picture of this detail would have.
    blur_share: float
    detail_px: float
    cover: CoverHints


@dataclass(frozen=True)
class Verdict:
    """Usable or not."""

    #: "" when usable, else one of the contract's reasons.
    reason: str
    #: What a task that needed this picture fails with; None when usable.
    error: PortraitdError | None
    #: None when no face was found.
    measures: Measures | None

    @property
    def usable(self) -> bool:
        return self.reason == ""


def judge(models: FaceModels, image: Image, limits: VerdictLimits) -> Verdict:
    """The verdict on an (H, W, 3) picture."""
    measures = measure(models, image, limits.other_face_share)
    if measures is None:
        return Verdict("no face detected", NoHumanFace(), None)
    light, pose = measures.light, measures.pose
    turned = (
        abs(pose.yaw_deg) > limits.yaw_deg
        or abs(pose.pitch_deg) > limits.pitch_deg
        or abs(pose.roll_deg) > limits.roll_deg
    )
    cover = measures.cover
    badly_lit = (
        light.luma_high < limits.luma_high
        or light.burnt_share > limits.burnt_share
        or light.side_ratio > limits.side_ratio
    )
    blurred = measures.blur_share > limits.blur_share
    hidden = cover.eyes_hidden or cover.mouth_hidden
    # In this order the first reason is the cause: a face in the dark, say, looks covered and blurred too.
    reasons: tuple[tuple[bool, str, type[PortraitdError]], ...] = (
        (measures.faces > 1, "multiple faces detected", MultipleFaces),
        (measures.head_px < limits.head_px, "face too small", FaceTooSmall),
        (cover.cut_off, "face occluded", FaceCovered),
        (turned, "face angle too large", BadFacePose),
        (badly_lit, "poor lighting", BadLight),
        (blurred, "image blurred", BadLight),
        (hidden, "face occluded", FaceCovered),
    )
    for applies, reason, error in reasons:
        if applies:
            return Verdict(reason, error(), measures)
    return Verdict("", None, measures)


def measure(models: FaceModels, image: Image, other_face_share: float = 0.25) -> Measures | None:
    """Everything about the main face of an (H, W, 3) picture; None when there is none."""
    small, shrink, found = _find(models, image, other_face_share)
    if not found:
        return None
    mesh = _enlarged(found[0], shrink)
    crop = _measuring_crop(image, small, mesh, found[0])
    height, width = image.shape[:2]
    x, y = mesh.xy[:, 0], mesh.xy[:, 1]
    outside = float(((x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)).mean())
    face_height = float(np.linalg.norm(mesh.xy[regions.FOREHEAD_TOP] - mesh.xy[regions.CHIN]))
    blur = blur_share(crop)
    return Measures(
        faces=len(found),
        face_width_px=float(np.ptp(crop.points[:, 0])) * face_height / crop.face_px,
        face_height_px=face_height,
        head_px=face_height * HEAD_PER_FACE,
        pose=pose_of(mesh.points),
        light=measure_light(crop),
        blur_share=blur,
        detail_px=min(face_height, 0.5 / blur),
        cover=measure_cover(crop, outside),
    )


def _find(models: FaceModels, image: Image, other_share: float) -> tuple[Image, int, list[FaceMesh]]:
    """A reduced copy, how many times smaller it is, and in it the meshes of the main face, first, and of the others."""
    for work_px in (WORK_PX, TILED_PX):
        small, shrink = _reduced(image, work_px)
        detected = detect_faces(models, small)
        main = main_mesh(models, small, detected)
        if main is not None and main.score >= MESH_SCORE:
            return small, shrink, [main, *_other_faces(models, small, main, detected, other_share)]
    return image, 1, []


def _reduced(image: Image, work_px: int) -> tuple[Image, int]:
    """A copy whose longer side is `work_px` at most, and how many times smaller it is."""
    shrink = -(-max(image.shape[:2]) // work_px)
    if shrink < 2:
        return image, 1
    size = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
    whole = image[: size[1] * shrink, : size[0] * shrink]
    return shrunk(whole, *size), shrink


def _other_faces(
    models: FaceModels, image: Image, main: FaceMesh, detected: tuple[DetectedFace, ...], other_share: float
) -> list[FaceMesh]:
    """Faces of at least `other_share` of the main one's area.

    Those that were detected, and those found in a copy without the main face, beside which smaller ones are missed.
    """
    without = image.copy()
    rim = main.box.width * 0.2
    height, width = image.shape[:2]
    y0, y1 = (int(np.clip(y, 0, height)) for y in (main.box.y0 - rim, main.box.y1 + rim))
    x0, x1 = (int(np.clip(x, 0, width)) for x in (main.box.x0 - rim, main.box.x1 + rim))
    without[y0:y1, x0:x1] = 128
    least = other_share * main.box.area
    known = [main]
    for view, faces in ((image, detected), (without, detect_faces(models, without, OTHER_SCORE))):
        for face in faces:
            if face.box.area < least or _is_known(known, face.keypoints):
                continue
            mesh = fit_mesh(models, view, face)
            # The landmark network may have slid onto a face that is known.
            if mesh.score >= OTHER_MESH_SCORE and mesh.box.area >= least and not _is_known(known, mesh.xy):
                known.append(mesh)
    return known[1:]


def _is_known(known: list[FaceMesh], points: Points) -> bool:
    """Whether the middle of the (N, 2) points lies in one of the faces."""
    x, y = points.mean(axis=0)
    return any(mesh.box.x0 <= x <= mesh.box.x1 and mesh.box.y0 <= y <= mesh.box.y1 for mesh in known)


def _enlarged(mesh: FaceMesh, shrink: int) -> FaceMesh:
    """The mesh in the picture that is `shrink` times larger; pixel centres stay at integers."""
    moved = mesh.points * np.float32(shrink)
    moved[:, :2] += np.float32((shrink - 1) / 2)
    return FaceMesh(moved, mesh.score)


def _measuring_crop(image: Image, small: Image, mesh: FaceMesh, small_mesh: FaceMesh) -> FaceCrop:
    """The face's crop, from the reduced copy when the face is large enough in it."""
    enough = max(small_mesh.box.width, small_mesh.box.height) * MARGIN >= CROP_PX
    return face_crop(small, small_mesh) if enough else face_crop(image, mesh)
