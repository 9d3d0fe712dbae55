"""Temporary uploads over real services: the ticket, the form, and who may use what was posted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from portraitd import wiring
from portraitd.blobs import Blobs
from portraitd.images import encode_jpeg
from portraitd.portraits.retention import Sweeper
from portraitd.settings import load_settings
from tests.api.client import ASYNC, GENERATE, ask
from tests.fakes.engines import flat

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MODEL = "facechain-generation"
PHOTO = encode_jpeg(flat((90, 80, 70)))
RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}


class Web:
    """The application over real services, at a time that a test moves."""

    def __init__(self, home: Path) -> None:
        self.now = START
        environ = {"PORTRAITD_HOME": str(home), "PORTRAITD_ENGINE": "tests.fakes.engines:instant"}
        self.house = wiring.open_house(load_settings(environ), lambda: self.now)
        self.anne, self.bert = (self.house.keys.create("app", name) for name in ("anne", "bert"))
        self._app = wiring.build_web(self.house)

    def __call__(self, method: str, path: str, key: str | None = "", **options: Any) -> httpx.Response:
        return ask(self._app, method, path, key=self.anne if key == "" else key, **options)

    def ticket(self, model: str = MODEL) -> dict[str, Any]:
        reply = self("GET", f"/api/v1/uploads?action=getPolicy&model={model}")
        assert reply.status_code == 200
        data: dict[str, Any] = reply.json()["data"]
        return data

    def post(self, ticket: dict[str, Any], name: str = "me.jpg", data: bytes = PHOTO, **changed: str) -> httpx.Response:
        """As the official client sends it; an entry changed to "" is left out."""
        form = {
            "OSSAccessKeyId": ticket["oss_access_key_id"],
            "Signature": ticket["signature"],
            "policy": ticket["policy"],
            "key": f"{ticket['upload_dir']}/{name}",
            "x-oss-object-acl": ticket["x_oss_object_acl"],
            "x-oss-forbid-overwrite": ticket["x_oss_forbid_overwrite"],
            "success_action_status": "200",
        } | changed
        fields = {name: value for name, value in form.items() if value}
        return self("POST", "/uploads", None, data=fields, files={"file": (name, data)})

    def uploaded(self, model: str = MODEL, name: str = "me.jpg") -> str:
        ticket = self.ticket(model)
        assert self.post(ticket, name).status_code == 200
        return f"oss://{ticket['upload_dir']}/{name}"

    def generate(self, url: str, key: str = "", headers: dict[str, str] = RESOLVE) -> httpx.Response:
        body = {
            "model": MODEL,
            "input": {"template_url": url, "user_urls": [url]},
            "parameters": {"style": "train_free_portrait_url_template"},
        }
        return self("POST", GENERATE, key, json=body, headers=ASYNC | headers)

    def stored(self) -> list[str]:
        return [held.key for held in self.house.blobs.list("uploads")]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path / "home")
    yield web
    web.house.close()


def test_the_ticket_is_the_contract_s(web: Web) -> None:
    ticket = web.ticket()
    assert set(ticket) == {
        "policy", "signature", "upload_dir", "upload_host", "expire_in_seconds", "max_file_size_mb",
        "capacity_limit_mb", "oss_access_key_id", "x_oss_object_acl", "x_oss_forbid_overwrite",
    }  # fmt: skip
    assert ticket["upload_host"] == "http://127.0.0.1:8000/uploads"
    policy = json.loads(base64.b64decode(ticket["policy"]))
    assert policy["expiration"] == "2026-11-23T12:05:00Z"
    assert ["starts-with", "$key", ticket["upload_dir"]] in policy["conditions"]


@pytest.mark.parametrize(
    "query", ["", "?action=getPolicy", "?action=other&model=" + MODEL, "?action=getPolicy&model=x"]
)
def test_a_ticket_for_nothing_is_refused(web: Web, query: str) -> None:
    assert web("GET", f"/api/v1/uploads{query}").status_code == 400


def test_what_was_posted_can_be_named(web: Web) -> None:
    accepted = web.generate(web.uploaded(name="我 的.jpg"))
    assert accepted.status_code == 200, accepted.text
    with web.house.database.read() as conn:
        (request,) = conn.exec_driver_sql("SELECT request FROM tasks").scalars()
    url = json.loads(request)["template_url"]
    assert web.house.fetcher.fetch(url, 1_000_000) == PHOTO


def test_trainings_and_face_checks_take_them_too(web: Web) -> None:
    job = {"model": "facechain-finetune", "training_file_ids": [web.uploaded("facechain-finetune")]}
    assert web("POST", "/api/v1/fine-tunes", json=job, headers=RESOLVE).status_code == 200
    check = {"model": "facechain-facedetect", "input": {"images": [web.uploaded("facechain-facedetect")]}}
    assert web("POST", "/api/v1/services/vision/facedetection/detect", json=check, headers=RESOLVE).status_code == 200


def test_a_training_shows_what_was_sent_and_no_link(web: Web) -> None:
    sent = [web.uploaded("facechain-finetune")]
    job = {"model": "facechain-finetune", "training_file_ids": sent}
    accepted = web("POST", "/api/v1/fine-tunes", json=job, headers=RESOLVE).json()["output"]
    found = web("GET", f"/api/v1/fine-tunes/{accepted['job_id']}")
    assert accepted["training_file_ids"] == found.json()["output"]["training_file_ids"] == sent
    assert "Signature" not in found.text
    with web.house.database.read() as conn:
        (request,) = conn.exec_driver_sql("SELECT request FROM tasks").scalars()
    assert web.house.fetcher.fetch(json.loads(request)["sources"][0], 1_000_000) == PHOTO


def test_only_for_its_account_its_model_its_time_and_with_the_header(web: Web) -> None:
    url = web.uploaded()
    for refused in (
        web.generate(url, headers={}),
        web.generate(url, key=web.bert),
        web.generate(web.uploaded("facechain-finetune")),
        web.generate(url + "x"),
        web.generate("oss://dashscope-instant/../../secret"),
    ):
        assert refused.status_code == 400
        assert refused.json()["code"] == "InvalidParameter.DataInspection"
    web.now = START + timedelta(hours=47, minutes=59)
    assert web.generate(url).status_code == 200
    web.now = START + timedelta(hours=48)
    assert web.generate(url).status_code == 400


def test_a_form_without_a_status_is_answered_204(web: Web) -> None:
    assert web.post(web.ticket(), success_action_status="").status_code == 204


def test_a_form_that_the_ticket_does_not_cover_is_refused(web: Web) -> None:
    ticket, other = web.ticket(), web.ticket()
    forged = base64.b64encode(base64.b64decode(ticket["policy"]).replace(b"2026", b"2036")).decode()
    for changed in (
        {"Signature": "AAAA"},
        {"Signature": ""},
        {"policy": forged},
        {"policy": "é"},
        {"key": f"{other['upload_dir']}/me.jpg"},
        {"key": f"{ticket['upload_dir']}/a/b.jpg"},
        {"key": f"{ticket['upload_dir']}/../x.jpg"},
        {"key": ""},
    ):
        refused = web.post(ticket, **changed)
        assert refused.status_code == 403, changed
        assert "<Code>AccessDenied</Code>" in refused.text
    assert web("POST", "/uploads", None, content=b"x").status_code == 403
    assert web.stored() == []
    web.now += timedelta(seconds=300)
    assert "Policy expired" in web.post(ticket).text


def test_a_ticket_ends_with_its_key(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, other = web.ticket(), web.ticket()
    put = Blobs.put

    def erased_meanwhile(blobs: Blobs, key: str, data: Any) -> None:
        put(blobs, key, data)
        web.house.eraser.account("anne", web.house.life)
        put(blobs, key, data)  # as though it had come last

    monkeypatch.setattr(Blobs, "put", erased_meanwhile)
    assert web.post(ticket).status_code == 403
    monkeypatch.undo()
    assert web.post(other).status_code == 403
    assert web.stored() == []


def test_nothing_is_overwritten(web: Web) -> None:
    ticket = web.ticket()
    assert web.post(ticket).status_code == 200
    assert web.post(ticket, data=b"other").status_code == 403
    assert web.post(ticket, name="second.jpg").status_code == 200


def test_due_uploads_are_swept_and_an_account_takes_its_own_along(web: Web) -> None:
    web.uploaded()
    sweeper = Sweeper(web.house.eraser, wiring.retention_of(web.house.settings), lambda: web.now)
    sweeper.sweep()
    assert len(web.stored()) == 1
    web.house.eraser.account("bert", web.house.life)
    assert len(web.stored()) == 1
    web.now = START + timedelta(hours=48)
    sweeper.sweep()
    assert web.stored() == []
    web.uploaded()
    web.house.eraser.account("anne", web.house.life)
    assert web.stored() == []


def test_the_official_client_uploads_a_file(web: Web, tmp_path: Path) -> None:
    from dashscope.utils.oss_utils import OssUtils

    from tests.api.live import serving

    photo = tmp_path / "me.jpg"
    photo.write_bytes(PHOTO)
    with serving(wiring.build_services(web.house)) as url:
        desk = wiring.build_services(web.house).uploads
        object.__setattr__(desk, "host", f"{url}/uploads")
        with serving(_with_uploads(web.house, desk)) as url_of_ticket:
            found, _ = OssUtils.upload(
                model=MODEL, file_path=str(photo), api_key=web.anne, base_address=f"{url_of_ticket}/api/v1"
            )
    assert found.startswith("oss://dashscope-instant/")
    assert web.generate(found).status_code == 200


def _with_uploads(house: wiring.House, desk: Any) -> Any:
    from dataclasses import replace

    return replace(wiring.build_services(house), uploads=desk)
