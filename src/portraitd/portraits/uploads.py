"""Temporary uploads: a signed ticket, bytes posted with it, and an `oss://` name for them (contract section 6).

Nothing about them is in the database. Where the bytes lie says whose they are, for which model, and how long.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from portraitd.blobs import Blobs
from portraitd.db import accounts
from portraitd.db.engine import Clock, Database
from portraitd.errors import MediaDownloadFailed, UploadRefused
from portraitd.portraits.links import Links
from portraitd.portraits.requests import MAX_UPLOAD_MB as MAX_MB
from portraitd.portraits.requests import UPLOAD_SCHEME as SCHEME
from portraitd.portraits.requests import Account, SignedUpload, Ticket

#: Where the bytes lie.
UPLOADS = "uploads"
TICKET_LIFE = timedelta(seconds=300)
LIFE = timedelta(hours=48)
#: Live uploads of one account.
MAX_UPLOADS = 1000

_MODELS = ("facechain-generation", "facechain-finetune", "facechain-facedetect")
_NAME = re.compile(
    r"dashscope-instant/(?P<owner>[0-9a-f]{1,32})/\d{4}-\d\d-\d\d/(?P<id>[0-9a-f]{16}-(?P<model>[0-2])-(?P<until>\d{10,12}))"
    r"/(?P<file>[^/\x00-\x1f\x7f]{1,255})"
)


@dataclass(frozen=True)
class UploadDesk:
    """The `Uploads` door of services.py."""

    blobs: Blobs
    links: Links
    secret: str
    host: str
    clock: Clock
    database: Database

    def ticket(self, account: Account, model: str) -> Ticket:
        """Leave to post one or more files for use with this model."""
        now = self.clock()
        until = int((now + LIFE).timestamp())
        folder = f"{secrets.token_hex(8)}-{_MODELS.index(model)}-{until}"
        upload_dir = f"dashscope-instant/{_owner(account.id)}/{now:%Y-%m-%d}/{folder}"
        policy = {
            "expiration": (now + TICKET_LIFE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "conditions": [
                ["content-length-range", 0, MAX_MB * 1024 * 1024],
                ["starts-with", "$key", upload_dir],
                {"bucket": "portraitd"},
                {"x-oss-object-acl": "private"},
                {"x-oss-forbid-overwrite": "true"},
                {"x-portraitd-key": account.key_id},
            ],
        }
        text = base64.b64encode(json.dumps(policy).encode()).decode("ascii")
        return Ticket(text, self._sign(text), upload_dir, self.host, TICKET_LIFE, MAX_MB)

    def check(self, upload: SignedUpload) -> None:
        """Raise UploadRefused unless a ticket allows it; asks nothing but the clock."""
        self._name(upload)

    def put(self, upload: SignedUpload, content: BinaryIO) -> None:
        """Keep what was posted; raises UploadRefused."""
        name = self._name(upload)
        key_id = _told(upload)["conditions"][-1]["x-portraitd-key"]
        self._check_live(key_id)
        if content.seek(0, io.SEEK_END) > MAX_MB * 1024 * 1024:
            raise UploadRefused("Invalid according to Policy: Policy Condition failed: content-length-range.")
        # Forms of one moment do not see each other: a few more may get in, and of two of one name the last stays.
        if len(self.blobs.list(f"{UPLOADS}/{name['owner']}")) >= MAX_UPLOADS:
            raise UploadRefused(f"There are {MAX_UPLOADS} uploads already; each is kept for 48 hours.")
        blob_key = _blob_key(name)
        if self.blobs.exists(blob_key):
            raise UploadRefused("The object you specified already exists and can not be overwritten.")
        self.blobs.put(blob_key, content)
        try:
            self._check_live(key_id)
        except UploadRefused:  # erased meanwhile, it may be without these bytes
            self.blobs.delete(blob_key)
            raise

    def _name(self, upload: SignedUpload) -> re.Match[str]:
        """The parts of its key; raises UploadRefused unless a ticket allows that."""
        signature = upload.signature.encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(self._sign(upload.policy).encode(), signature):
            raise UploadRefused("The request signature we calculated does not match the signature you provided.")
        told = _told(upload)
        if datetime.strptime(told["expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) <= self.clock():
            raise UploadRefused("Invalid according to Policy: Policy expired.")
        name = _NAME.fullmatch(upload.key)
        upload_dir = told["conditions"][1][2]
        if name is None or not upload.key.startswith(upload_dir + "/"):
            raise UploadRefused("Invalid according to Policy: Policy Condition failed: starts-with $key.")
        return name

    def _check_live(self, key_id: str) -> None:
        """Raise UploadRefused where the key that the ticket was given to is not valid any more."""
        with self.database.read() as conn:
            if accounts.live_key_of_id(conn, key_id) is None:
                raise UploadRefused("Invalid according to Policy: Policy expired.")

    def link(self, account: Account, model: str, url: str) -> str:
        """A link of ours to what an `oss://` URL names.

        Raises MediaDownloadFailed where there is nothing (any more) that this account posted for this model.
        """
        name = _NAME.fullmatch(url.removeprefix(SCHEME))
        if name is None or name["owner"] != _owner(account.id) or _MODELS[int(name["model"])] != model:
            raise MediaDownloadFailed
        until = datetime.fromtimestamp(int(name["until"]), UTC)
        if until <= self.clock() or not self.blobs.exists(_blob_key(name)):
            raise MediaDownloadFailed
        return self.links.make(_blob_key(name), until)

    def _sign(self, policy: str) -> str:
        digest = hmac.new(
            self.secret.encode(), b"upload\n" + policy.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).digest()
        return base64.b64encode(digest).decode("ascii")


def _told(upload: SignedUpload) -> Any:
    """What the ticket says; ours, once its signature is found to be."""
    return json.loads(base64.b64decode(upload.policy))


def folder_of(account_id: str) -> str:
    """Where an account's uploads lie."""
    return f"{UPLOADS}/{_owner(account_id)}"


def ends_at(blob_key: str) -> datetime:
    """When what lies there is due."""
    return datetime.fromtimestamp(int(blob_key.split("/")[2].rsplit("-", 1)[1]), UTC)


def _owner(account_id: str) -> str:
    return hashlib.sha256(account_id.encode()).hexdigest()[:32]


def _blob_key(name: re.Match[str]) -> str:
    """A client's file name never becomes part of a path."""
    file = hashlib.sha256(name["file"].encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{UPLOADS}/{name['owner']}/{name['id']}/{file}"
