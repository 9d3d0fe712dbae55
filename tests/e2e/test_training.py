"""An identity's whole life on the real service: made from photos, used, kept from others, and erased."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from skimage.data import astronaut

from portraitd.images import Image
from tests.e2e.conftest import download
from tests.e2e.service import Customer

Gap = Callable[[Image, Image], float]


def lora(job: dict[str, str]) -> list[dict[str, str]]:
    return [{"resource_id": job["finetuned_output"], "resource_type": "facelora"}]


def marked(photo: bytes) -> tuple[bytes, bytes]:
    """The JPEG with a comment that is nowhere else in the world, and that comment."""
    mark = f"marker-{uuid4()}".encode()
    return photo[:2] + b"\xff\xfe" + (len(mark) + 2).to_bytes(2, "big") + mark + photo[2:], mark


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def holders(home: Path, pieces: list[bytes]) -> list[str]:
    """Files below the home that hold any of the pieces."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return [str(path.relative_to(home)) for path in files if any(piece in path.read_bytes() for piece in pieces)]


def pieces_of(data: bytes) -> list[bytes]:
    """Bytes from the middle of a file, enough to know it by."""
    return [data[at : at + 48] for at in (len(data) // 3, len(data) // 2)]


def test_trained_by_file_by_url_and_by_zip(anne: Customer, site: str, pictures: Path, gap: Gap) -> None:
    """All three at once; each identity makes portraits of the person, and none before it is made."""
    names = ["me.jpg", "me-mirrored.png", "me-darker.jpg"]
    file_id = anne.upload("me.jpg", (pictures / "me.jpg").read_bytes())
    archive = zipped({f"photos/{name}": (pictures / name).read_bytes() for name in names})
    zip_id = anne.upload("photos.zip", archive)
    sources = [[file_id], [f"{site}/me.jpg", f"{site}/me-mirrored.png"], [zip_id]]
    jobs = [anne.start_training(*source) for source in sources]
    too_early = anne.ask_for_portraits("f_idcard_female", resources=lora(jobs[2]))
    assert (too_early.status_code, too_early.json()["code"]) == (403, "Resource.AccessDenied")
    for job in jobs:
        done = anne.trained(job["job_id"])
        assert (done["status"], done["usage"]) == ("SUCCEEDED", 1)
        assert done["finetuned_output"] == job["finetuned_output"] == f"facechain-finetune-{job['job_id']}"
        task = anne.portraits("f_idcard_female", parameters={"n": 1}, resources=lora(job))
        assert gap(download(task["output"]["results"][0]["url"]), astronaut()) < 0.45
        anne.call("DELETE", f"/fine-tunes/{job['job_id']}")
    for sent in (file_id, zip_id):
        anne.call("DELETE", f"/files/{sent}")


@pytest.mark.parametrize(
    ("name", "code"), [("nobody.jpg", "InvalidImage.NoHumanFace"), ("two.jpg", "InvalidFile.MultiHuman")]
)
def test_a_training_without_a_usable_photo_fails_with_the_reason(
    anne: Customer, site: str, name: str, code: str
) -> None:
    job = anne.trained(anne.start_training(f"{site}/{name}")["job_id"])
    assert (job["status"], job["code"]) == ("FAILED", code)
    assert job["message"]


def test_a_bad_photo_among_good_ones_does_not_spoil_the_training(anne: Customer, site: str) -> None:
    job = anne.trained(anne.start_training(f"{site}/nobody.jpg", f"{site}/me.jpg")["job_id"])
    assert job["status"] == "SUCCEEDED"


def test_erasing_erases(anne: Customer, home: Path, pictures: Path) -> None:
    """After the job and the file are deleted, no byte of the photo or the identity is left in the home."""
    photo, mark = marked((pictures / "me-darker.jpg").read_bytes())
    file_id = anne.upload("me.jpg", photo)
    job = anne.start_training(file_id)
    assert anne.trained(job["job_id"])["status"] == "SUCCEEDED"
    of_the_job = [path for path in home.rglob("*") if path.is_file() and job["job_id"] in str(path)]
    kept = [path.read_bytes() for path in of_the_job]
    identity = [piece for data in kept if len(data) > 10_000 for piece in pieces_of(data)]
    of_the_photo = [mark, *pieces_of(photo)]
    assert holders(home, of_the_photo), "the photo must be there before, or the test proves nothing"
    assert f"blobs/jobs/{job['job_id']}/identity" in holders(home, identity)
    assert anne.portraits("f_idcard_female", parameters={"n": 1}, resources=lora(job))["usage"] == {"image_count": 1}

    assert anne.call("DELETE", f"/fine-tunes/{job['job_id']}")["output"] == {"status": "success"}
    assert anne.call("DELETE", f"/files/{file_id}").keys() == {"request_id"}

    assert anne.ask("GET", f"/fine-tunes/{job['job_id']}").status_code == 404
    refused = anne.ask_for_portraits("f_idcard_female", resources=lora(job))
    assert (refused.status_code, refused.json()["code"]) == (403, "Resource.AccessDenied")
    assert holders(home, of_the_photo) == []
    assert holders(home, identity) == []


def test_another_account_sees_nothing(anne: Customer, bob: Customer, pictures: Path) -> None:
    file_id = anne.upload("me.jpg", (pictures / "me.jpg").read_bytes())
    job = anne.trained(anne.start_training(file_id)["job_id"])
    task_id = anne.portraits("f_idcard_female", parameters={"n": 1}, resources=lora(job))["output"]["task_id"]

    assert bob.call("GET", f"/tasks/{task_id}")["output"] == {"task_id": task_id, "task_status": "UNKNOWN"}
    assert bob.call("GET", "/tasks")["total"] == 0
    assert bob.ask("POST", f"/tasks/{task_id}/cancel").status_code == 400
    assert bob.call("GET", "/files")["data"]["total"] == 0
    assert bob.ask("GET", f"/files/{file_id}").json()["message"] == "File not found."
    assert bob.ask("DELETE", f"/files/{file_id}").status_code == 400
    assert bob.call("GET", "/fine-tunes")["output"]["total"] == 0
    for method in ("GET", "DELETE"):
        assert bob.ask(method, f"/fine-tunes/{job['job_id']}").status_code == 404
    stolen = bob.ask_for_portraits("f_idcard_female", resources=lora(job))
    assert (stolen.status_code, stolen.json()["code"]) == (403, "Resource.AccessDenied")
    body = {"model": "facechain-finetune", "training_file_ids": [file_id]}
    assert bob.ask("POST", "/fine-tunes", json=body).status_code == 400

    assert anne.call("GET", f"/tasks/{task_id}")["output"]["task_status"] == "SUCCEEDED"
    anne.call("DELETE", f"/fine-tunes/{job['job_id']}")
    anne.call("DELETE", f"/files/{file_id}")


def test_a_wrong_key_opens_nothing(service: str) -> None:
    stranger = Customer(service, "sk-" + "0" * 48)
    for path in ("/tasks", "/files", "/fine-tunes"):
        refused = stranger.ask("GET", path)
        assert (refused.status_code, refused.json()["code"]) == (401, "InvalidApiKey")
    stranger.close()
