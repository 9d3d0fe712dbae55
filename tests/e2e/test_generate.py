"""The main job on the real service: portraits in presets and templates, and what comes of bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
from skimage.data import astronaut

from portraitd.images import Image, decode
from tests.e2e.conftest import download, free_port
from tests.e2e.service import WOMEN_MODEL, Customer

Gap = Callable[[Image, Image], float]
SAME_PERSON = 0.45

#: The vendor's page for creating a FaceChain generation task, with only host and key changed.
VENDORS_EXAMPLE = """
curl --location 'HOST/api/v1/services/aigc/album/gen_potrait' \\
--header 'X-DashScope-Async: enable' \\
--header 'Authorization: Bearer KEY' \\
--header 'Content-Type: application/json' \\
--data-raw '{
    "model": "facechain-generation",
    "parameters": {
        "style": "f_idcard_female",
        "size": "768*1024",
        "n": 4
    },
    "resources": [
        {
            "resource_id": "women_model",
            "resource_type": "facelora"
        }
    ]
}'
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_vendors_example_gives_four_portraits_of_one_woman(anne: Customer, gap: Gap) -> None:
    script = VENDORS_EXAMPLE.replace("HOST", anne.url).replace("KEY", anne.key).replace("curl", "curl -s --noproxy '*'")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    created = json.loads(done.stdout)
    assert created["request_id"]
    assert created["output"].keys() == {"task_id", "task_status"}
    states = [created["output"]["task_status"]]
    while states[-1] in {"PENDING", "RUNNING"}:
        task = anne.call("GET", f"/tasks/{created['output']['task_id']}")
        states.append(task["output"]["task_status"])
        time.sleep(0.02)
    steps = [states[0], *(after for before, after in pairwise(states) if after != before)]
    assert steps in (["PENDING", "RUNNING", "SUCCEEDED"], ["PENDING", "SUCCEEDED"])
    assert task["output"]["task_metrics"] == {"TOTAL": 4, "SUCCEEDED": 4, "FAILED": 0}
    assert task["usage"] == {"image_count": 4}

    four = [download(result["url"]) for result in task["output"]["results"]]
    assert [image.shape for image in four] == [(1024, 768, 3)] * 4
    for a, b in combinations(four, 2):
        assert np.abs(a.astype(int) - b).mean() > 5, "they must differ visibly"
        assert gap(a, b) < SAME_PERSON
    assert all(gap(image, astronaut()) < SAME_PERSON for image in four)


@pytest.mark.parametrize("style", ["m_springflower_female", "f_business_female"])
def test_a_scene_is_one_person_too(anne: Customer, gap: Gap, style: str) -> None:
    task = anne.portraits(style, parameters={"n": 1}, resources=WOMEN_MODEL)
    image = download(task["output"]["results"][0]["url"])
    assert image.shape == (1024, 768, 3)
    assert gap(image, astronaut()) < SAME_PERSON


class TestTemplates:
    def test_an_identity_in_a_template(self, anne: Customer, site: str, pictures: Path, gap: Gap) -> None:
        task = anne.portraits(
            "portrait_url_template",
            parameters={"n": 2},
            input={"template_url": f"{site}/template.jpg"},
            resources=WOMEN_MODEL,
        )
        self.check(task, pictures, gap)

    def test_photos_in_a_template_without_training(self, anne: Customer, site: str, pictures: Path, gap: Gap) -> None:
        urls = [f"{site}/me.jpg", f"{site}/me-mirrored.png"]
        task = anne.portraits(
            "train_free_portrait_url_template",
            parameters={"n": 2, "skin_retouch": False},
            input={"template_url": f"{site}/template.jpg", "user_urls": urls},
        )
        self.check(task, pictures, gap)

    @staticmethod
    def check(task: dict[str, object], pictures: Path, gap: Gap) -> None:
        """Two results of the template's own size, different, and both the person."""
        template = decode((pictures / "template.jpg").read_bytes())
        output = task["output"]
        assert isinstance(output, dict)
        assert output["task_status"] == "SUCCEEDED"
        one, other = (download(result["url"]) for result in output["results"])
        assert one.shape == other.shape == template.shape == (666, 600, 3)
        assert 0.1 < np.abs(one.astype(int) - other).mean() < 20
        corner = np.s_[-60:, :100]
        assert np.abs(one[corner].astype(int) - template[corner]).mean() < 3, "the JPEG alone may change the rest"
        assert gap(one, astronaut()) < SAME_PERSON
        assert gap(other, astronaut()) < SAME_PERSON


def test_a_link_opens_for_its_holder_only_as_it_is(anne: Customer) -> None:
    task = anne.portraits("f_idcard_female", parameters={"n": 1}, resources=WOMEN_MODEL)
    link = task["output"]["results"][0]["url"]
    download(link)
    assert httpx.get(link.partition("?")[0]).status_code == 403
    assert httpx.get(link.replace("Expires=", "Expires=1")).status_code == 403


#: What is given as a template, or as a photo where the name begins with "photo:", and the code of the failed task.
BAD_INPUT = (
    ("nobody.jpg", "InvalidImage.NoHumanFace"),
    ("two.jpg", "InvalidFile.MultiHuman"),
    ("small.jpg", "InvalidImageResolution"),
    ("template.webp", "InvalidImageFormat"),
    ("words.jpg", "InvalidImageFormat"),
    ("broken.jpg", "InvalidImageFormat"),
    ("missing.jpg", "InvalidParameter.DataInspection"),
    ("photo:nobody.jpg", "InvalidImage.NoHumanFace"),
    ("photo:two.jpg", "InvalidFile.MultiHuman"),
    ("photo:stamp.jpg", "InvalidImageResolution"),
)


@pytest.mark.parametrize(("name", "code"), BAD_INPUT)
def test_bad_pictures_fail_the_task_with_their_code(anne: Customer, site: str, name: str, code: str) -> None:
    kind, _, file = name.rpartition(":")
    template, photo = ("template.jpg", file) if kind else (file, "me.jpg")
    task = anne.portraits(
        "train_free_portrait_url_template",
        parameters={"n": 2},
        input={"template_url": f"{site}/{template}", "user_urls": [f"{site}/{photo}"]},
    )
    assert (task["output"]["task_status"], task["output"]["code"]) == ("FAILED", code)
    assert task["output"]["message"]
    assert task["output"]["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 0, "FAILED": 2}
    assert task["usage"] == {"image_count": 0}


def test_a_site_that_does_not_answer_fails_the_task(anne: Customer) -> None:
    task = anne.portraits(
        "portrait_url_template",
        input={"template_url": f"http://127.0.0.1:{free_port()}/template.jpg"},
        resources=WOMEN_MODEL,
    )
    assert (task["output"]["task_status"], task["output"]["code"]) == ("FAILED", "InvalidURL.ConnectionRefused")
    assert task["output"]["message"] == "Connection to 127.0.0.1 refused, please provide available URL."


def test_a_private_address_that_is_not_allowed_is_not_reached(anne: Customer) -> None:
    task = anne.portraits(
        "portrait_url_template", input={"template_url": "http://10.0.0.1/template.jpg"}, resources=WOMEN_MODEL
    )
    assert (task["output"]["task_status"], task["output"]["code"]) == ("FAILED", "InvalidURL")


def test_the_face_check_tells_what_is_wrong(anne: Customer, site: str) -> None:
    expected = {
        "me.jpg": "",
        "nobody.jpg": "no face detected",
        "two.jpg": "multiple faces detected",
        "template.webp": "",
        "stamp.jpg": "image resolution out of range",
        "words.jpg": "image format not supported",
    }
    body = {"model": "facechain-facedetect", "input": {"images": [f"{site}/{name}" for name in expected]}}
    found = anne.call("POST", "/services/vision/facedetection/detect", json=body)
    assert found["output"]["failed_reason"] == list(expected.values())
    assert found["output"]["is_face"] == [reason == "" for reason in expected.values()]
    assert found["usage"] == {}
