"""What is wrong with a picture and what to do about it, in plain English and Chinese.

The contract's own words say that a picture is refused, and hardly why. Words only: nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Hint(NamedTuple):
    """One sentence of what is wrong, and one of what to do."""

    en: str
    zh: str


#: By the face check's reasons (wire-contract section 3).
BY_REASON: Mapping[str, Hint] = {
    "no face detected": Hint(
        "No face was found. Use a photo that shows one person's face clearly, from the front.",
        "没有找到人脸。请使用一张清楚拍到本人正脸的照片。",
    ),
    "multiple faces detected": Hint(
        "There is more than one person in the picture. Use a photo of one person, or crop the others away.",
        "照片里不止一个人。请使用单人照，或把其他人裁掉。",
    ),
    "face too small": Hint(
        "The face is too small. Use a photo taken from nearer, or in which the face has more pixels.",
        "人脸太小。请使用近一些拍摄的照片，或面部像素更高的原图。",
    ),
    "face angle too large": Hint(
        "The head is turned or tilted too far. Use a photo that looks into the camera.",
        "头部转动或倾斜的角度太大。请使用正对镜头的照片。",
    ),
    "face occluded": Hint(
        "Part of the face is covered or cut off. Use one without sunglasses, mask or hand, with all of the face in it.",
        "面部有遮挡或没有拍全。请使用不戴墨镜和口罩、没有用手挡脸、整张脸都在画面里的照片。",
    ),
    "poor lighting": Hint(
        "The face is too dark, too bright, or lit from one side only. Use a photo in even light from the front.",
        "面部过暗、过亮，或只有一侧受光。请使用正面光线均匀的照片。",
    ),
    "image blurred": Hint(
        "The face is blurred. Use a sharp photo, or the original instead of a reduced copy.",
        "面部模糊。请使用清晰的照片，最好是未经压缩的原图。",
    ),
    "image resolution out of range": Hint(
        "The picture has too few or too many pixels. Use one of another size.",
        "图片的像素尺寸过小或过大。请换一张尺寸合适的图片。",
    ),
    "image size exceeds limit": Hint(
        "The file is too large. Save the picture smaller, as JPEG for instance.",
        "文件过大。请压缩图片，例如另存为 JPEG 格式。",
    ),
    "image format not supported": Hint(
        "The file cannot be read as a picture. Use JPEG or PNG.",
        "无法读取这个图片文件。请使用 JPEG 或 PNG 格式。",
    ),
}

#: By the codes of tasks and trainings that failed (sections 1.6 and 7.3).
BY_CODE: Mapping[str, Hint] = {
    "InvalidImage.NoHumanFace": BY_REASON["no face detected"],
    "InvalidFile.NoHuman": Hint(
        "None of the photos could be used. Use photos that show one person's face clearly, from the front.",
        "没有一张照片可用。请使用清楚拍到本人正脸的照片。",
    ),
    "InvalidFile.MultiHuman": BY_REASON["multiple faces detected"],
    "InvalidFile.BodyProportion": Hint(
        "The face is too small in the picture, or so large that head and shoulders are cut off. Use a photo with room "
        "around the head, in which the face has many pixels.",
        "人脸太小，或拍得太近，头部和肩部没有拍全。请使用头部四周留有空间、面部清晰的照片。",
    ),
    "InvalidFile.FacePose": BY_REASON["face angle too large"],
    "InvalidFile.FullFace": BY_REASON["face occluded"],
    "InvalidFile.Value": Hint(
        "The face is too dark, too bright, or blurred. Use a sharp photo in even light from the front.",
        "面部过暗、过亮或模糊。请使用光线均匀、清晰的正面照片。",
    ),
    "InvalidImageResolution": BY_REASON["image resolution out of range"],
    "InvalidFile.Size": BY_REASON["image size exceeds limit"],
    "InvalidImageFormat": BY_REASON["image format not supported"],
    "InvalidParameter.DataInspection": Hint(
        "The picture could not be downloaded. Check that its address opens without signing in.",
        "图片下载失败。请确认图片地址无需登录即可打开。",
    ),
}
