"""Every way to refuse a picture has a hint, in both languages."""

from __future__ import annotations

import inspect
import re

import pytest

from portraitd import errors
from portraitd.faces import verdict
from portraitd.portraits import faces
from portraitd.portraits.hints import BY_CODE, BY_REASON, Hint


def test_every_reason_of_the_face_check_has_one() -> None:
    told = set(re.findall(r'"((?:no|multiple|face|poor|image) [a-z ]+)"', inspect.getsource(verdict.judge)))
    told |= set(re.findall(r'"(image [a-z ]+)"', inspect.getsource(faces)))
    assert told == set(BY_REASON)


def test_every_code_that_a_picture_fails_with_has_one() -> None:
    pictures = [
        errors.NoHumanFace,
        errors.NoUsablePhoto,
        errors.MultipleFaces,
        errors.BadFacePose,
        errors.FaceCovered,
        errors.FaceTooSmall,
        errors.HeadCutOff,
        errors.BadLight,
        errors.InvalidImageFormat,
        errors.InvalidImageResolution,
        errors.InvalidFileSize,
        errors.MediaDownloadFailed,
    ]
    assert {error.code for error in pictures} == set(BY_CODE)


@pytest.mark.parametrize("hint", {*BY_REASON.values(), *BY_CODE.values()}, ids=lambda hint: hint.en[:20])
def test_hints_are_two_sentences_in_their_own_language(hint: Hint) -> None:
    assert hint.en.isascii()
    assert hint.en.count(".") == 2
    assert hint.zh.count("。") == 2
    assert re.search(r"[\u4e00-\u9fff]", hint.zh)
    assert "." not in hint.zh
