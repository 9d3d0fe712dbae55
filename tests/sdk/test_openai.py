"""The official `openai` client, unmodified: files, contract section 5.4, on a real database."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portraitd import wiring
from portraitd.settings import load_settings
from tests.api.live import serving
from tests.sdk.conftest import Live

openai = pytest.importorskip("openai")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server over real services; an account may keep five files."""
    environ = {
        "PORTRAITD_HOME": str(tmp_path_factory.mktemp("home")),
        "PORTRAITD_ENGINE": "tests.fakes.engines:instant",
        "PORTRAITD_MAX_FILES": "5",
    }
    house = wiring.open_house(load_settings(environ))
    with serving(wiring.build_services(house)) as url:
        yield Live(url, house.keys.create("key"))
    house.close()


@pytest.fixture
def client(live: Live) -> Iterator[Any]:
    """The two things that a user of the client changes."""
    with openai.OpenAI(base_url=f"{live.url}/compatible-mode/v1", api_key=live.key) as client:
        yield client
        for file in client.files.list():
            client.files.delete(file.id)


def test_create_retrieve_content_delete(client: Any, tmp_path: Path) -> None:
    photo = tmp_path / "me.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))
    created = client.files.create(file=photo, purpose="fine-tune")
    assert (created.object, created.bytes, created.filename, created.status) == ("file", 5004, "me.jpg", "processed")
    assert client.files.retrieve(created.id) == created
    assert client.files.wait_for_processing(created.id) == created
    assert client.files.content(created.id).read() == photo.read_bytes()
    deleted = client.files.delete(created.id)
    assert (deleted.id, deleted.deleted) == (created.id, True)
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve(created.id)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_the_list_turns_its_own_pages(client: Any) -> None:
    created = [client.files.create(file=(f"{n}.txt", io.BytesIO(b"x")), purpose="batch").id for n in range(5)]
    page = client.files.list(limit=2, order="asc")
    assert ([file.id for file in page.data], page.has_more) == (created[:2], True)
    assert [file.id for file in page] == created
    assert [file.id for file in client.files.list(purpose="batch", limit=1)] == created[::-1]
    assert list(client.files.list(purpose="vision")) == []


def test_a_file_that_does_not_fit(client: Any) -> None:
    for number in range(5):
        client.files.create(file=(f"{number}.txt", b"x"), purpose="batch")
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(file=("6.txt", b"x"), purpose="batch")
    assert caught.value.code == "BadRequest.TooMany"
    assert "Out of number, <5> of <5>" in caught.value.message


def test_refusals_are_the_client_s_own_errors(live: Live, client: Any) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="sk-none").files.list()
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.files.list(limit=0)
    assert (wrong.value.code, wrong.value.param) == ("invalid_parameter_error", "limit")
    with pytest.raises(openai.NotFoundError):
        client.models.list()


def test_what_it_uploads_is_in_the_native_list(live: Live, client: Any) -> None:
    dashscope = pytest.importorskip("dashscope")
    created = client.files.create(file=("a.jpg", b"x"), purpose="fine-tune")
    with dashscope.Client(api_key=live.key, base_url=live.api) as native:
        assert [file.file_id for file in native.files.list().files] == [created.id]
        assert native.files.get(created.id).purpose == "fine-tune"


def test_the_asynchronous_client(live: Live) -> None:
    async def round_trip() -> bytes:
        async with openai.AsyncOpenAI(base_url=f"{live.url}/compatible-mode/v1", api_key=live.key) as client:
            created = await client.files.create(file=("a.txt", b"hello"), purpose="batch")
            content = await client.files.content(created.id)
            await client.files.delete(created.id)
            return bytes(content.read())

    assert asyncio.run(round_trip()) == b"hello"
