"""Files that an account keeps: contract section 5."""

from __future__ import annotations

from typing import Any

import pytest

from portraitd.api.app import FRAMING_BYTES, ApiConfig
from portraitd.portraits.requests import Upload
from tests.api.client import Api, assert_error_shape, assert_success
from tests.api.fakes import World
from tests.fakes.files import told

PATH = "/api/v1/files"
BOUNDARY = "b0undary"


def part(head: str, body: bytes | str = b"", more: str = "") -> bytes:
    """One part of a multipart body, its Content-Disposition spelled as given."""
    data = body.encode() if isinstance(body, str) else body
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n{more}\r\n".encode() + data + b"\r\n"


def send(api: Api, *parts: bytes) -> Any:
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return api("POST", PATH, content=body, headers=headers)


FILE = part('name="files"; filename="a.jpg"', b"\xff\xd8picture")


def test_the_reply_names_what_was_kept_and_what_was_not(world: World) -> None:
    world.files.limit = 1
    api = Api(world)
    reply = assert_success(send(api, FILE, part('name="files"; filename="b.jpg"', "b")))
    (kept,) = world.files.kept.values()
    assert reply["data"] == {
        "uploaded_files": [{"name": "a.jpg", "file_id": kept.id}],
        "failed_uploads": [
            {
                "name": "b.jpg",
                "code": "BadRequest.TooMany",
                "message": "Out of number, <1> of <1> files has been uploaded.",
            }
        ],
    }
    assert set(reply) == {"request_id", "data"}


def test_a_reply_is_a_success_when_every_file_failed(world: World) -> None:
    world.files.limit = 0
    assert assert_success(send(Api(world), FILE))["data"]["uploaded_files"] == []


def uploaded(api: Api, *parts: bytes) -> list[Upload]:
    assert_success(send(api, *parts))
    return api.world.files.uploaded


def test_descriptions_may_come_before_the_files(api: Api) -> None:
    (file,) = uploaded(api, part('name="descriptions"', "my face"), FILE)
    assert told(file) == ("a.jpg", b"\xff\xd8picture", "my face", None)


def test_a_description_may_be_sent_as_a_file(api: Api) -> None:
    (file,) = uploaded(api, part('name="descriptions"; filename="d"', "mein Gesicht ä"), FILE)
    assert file.description == "mein Gesicht ä"


def test_a_long_description_is_cut(api: Api) -> None:
    (file,) = uploaded(api, part('name="descriptions"', "d" * 5000), FILE)
    assert file.description == "d" * 1000


def test_descriptions_and_purposes_are_matched_by_order(api: Api) -> None:
    files = uploaded(
        api,
        part('name="purpose"', "fine-tune"),
        part('name="descriptions"', "one"),
        FILE,
        part('name="purpose"', "batch"),
        part('name="descriptions"', "two"),
        part('name="files"; filename="b.jpg"', "b"),
        part('name="files"; filename="c.jpg"', "c"),
    )
    assert [(file.name, file.description, file.purpose) for file in files] == [
        ("a.jpg", "one", "fine-tune"),
        ("b.jpg", "two", "batch"),
        ("c.jpg", None, None),
    ]


def test_one_purpose_is_every_files(api: Api) -> None:
    files = uploaded(api, part('name="purpose"', "fine-tune"), FILE, FILE)
    assert [file.purpose for file in files] == ["fine-tune", "fine-tune"]


def test_purpose_is_optional(api: Api) -> None:
    assert uploaded(api, FILE)[0].purpose is None


def test_names_need_no_quotes_and_parts_no_content_type(api: Api) -> None:
    assert uploaded(api, part("name=files; filename=photo.jpg", "x"))[0].name == "photo.jpg"


def test_parts_may_have_a_content_type(api: Api) -> None:
    (file,) = uploaded(api, part('name="files"; filename="a.zip"', "x", "Content-Type: application/zip\r\n"))
    assert told(file)[1] == b"x"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('filename="照片.jpg"', "照片.jpg"),
        ("filename*=utf-8''%E7%85%A7%E7%89%87.jpg", "照片.jpg"),
        ("filename=\"plain.jpg\"; filename*=utf-8''%E7%85%A7%E7%89%87.jpg", "照片.jpg"),
        ("filename*=UTF-8'zh'%22..%5C%22%0D%0A.jpg", "'.jpg"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\photos\\me.jpg"', "me.jpg"),
        ('filename="a\x07b.jpg"', "ab.jpg"),
        ('filename="' + "x" * 400 + '.jpg"', "x" * 251 + ".jpg"),
        ('filename=".."', "file"),
    ],
)
def test_a_file_keeps_its_own_name_only(api: Api, head: str, name: str) -> None:
    assert uploaded(api, part(f'name="files"; {head}', "x"))[0].name == name


def test_a_large_file_arrives_whole(api: Api) -> None:
    data = bytes(range(256)) * 20_000
    assert told(uploaded(api, part('name="files"; filename="a"', data))[0])[1] == data


def test_an_upload_without_files(api: Api) -> None:
    assert_error_shape(send(api, part('name="descriptions"', "x")), 400, "InvalidParameter")
    assert_error_shape(send(api, part('name="files"', "no file name")), 400, "InvalidParameter")
    assert_error_shape(send(api), 400, "InvalidParameter")
    assert_error_shape(api("POST", PATH, json={"files": []}), 400, "InvalidParameter")
    assert_error_shape(api("POST", PATH), 400, "InvalidParameter")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=other"])
def test_a_broken_multipart_body(api: Api, content_type: str) -> None:
    reply = api("POST", PATH, content=FILE, headers={"Content-Type": content_type})
    assert_error_shape(reply, 400, "InvalidParameter")


def test_an_upload_that_is_too_long(world: World) -> None:
    api = Api(world, ApiConfig(max_upload_bytes=1000))
    assert_success(send(api, part('name="files"; filename="a"', "x" * 1000)))
    world.files.uploaded.clear()
    reply = send(api, part('name="files"; filename="a"', "x" * (1001 + FRAMING_BYTES)))
    assert_error_shape(reply, 400, "BadRequest.TooLarge", "Payload Too Large.")
    assert world.files.uploaded == []


def test_an_upload_of_too_many_files(world: World) -> None:
    api = Api(world, ApiConfig(max_upload_files=2))
    assert_success(send(api, FILE, FILE))
    assert_error_shape(send(api, FILE, FILE, FILE), 400, "InvalidParameter")
    assert_error_shape(send(api, *[FILE] * 50), 400, "InvalidParameter")


def test_one_file(api: Api) -> None:
    uploaded(api, part('name="purpose"', "fine-tune"), part('name="descriptions"', "d"), FILE)
    (file,) = api.world.files.kept.values()
    assert assert_success(api("GET", f"{PATH}/{file.id}"))["data"] == {
        "id": 1,
        "file_id": file.id,
        "name": "a.jpg",
        "description": "d",
        "size": 9,
        "md5": "TRfa5+ZWBArIkEVhEnlqSg==",
        "gmt_create": "2025-11-30 19:37:33",
        "url": file.url,
        "region": "cn-beijing",
        "user_id": "1001",
        "api_key_id": "11",
        "purpose": "fine-tune",
    }


def test_what_was_not_said_is_left_out(api: Api) -> None:
    uploaded(api, FILE)
    (file,) = assert_success(api("GET", PATH))["data"]["files"]
    assert not {"purpose", "description"} & set(file)


def test_the_list_is_newest_first_in_pages(api: Api) -> None:
    uploaded(api, *[part(f'name="files"; filename="{n}"', "x") for n in range(3)])
    data = assert_success(api("GET", f"{PATH}?page_no=1&page_size=2"))["data"]
    assert [file["name"] for file in data.pop("files")] == ["2", "1"]
    assert data == {"total": 3, "page_size": 2, "page_no": 1}


@pytest.mark.parametrize("query", ["page_no=0", "page_size=101", "page_size=-1", "page_no=x"])
def test_pages_that_make_no_sense(api: Api, query: str) -> None:
    assert_error_shape(api("GET", f"{PATH}?{query}"), 400, "InvalidParameter")


def test_delete(api: Api) -> None:
    uploaded(api, FILE)
    (file,) = api.world.files.kept.values()
    assert set(assert_success(api("DELETE", f"{PATH}/{file.id}"))) == {"request_id"}
    assert_error_shape(api("GET", f"{PATH}/{file.id}"), 400, "InvalidParameter", "File not found.")


@pytest.mark.parametrize("file_id", ["none", "%00", "a%20b"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_missing_file_is_400(api: Api, method: str, file_id: str) -> None:
    assert_error_shape(api(method, f"{PATH}/{file_id}"), 400, "InvalidParameter", "File not found.")
