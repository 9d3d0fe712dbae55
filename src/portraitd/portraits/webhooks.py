"""An account's webhook: where it is told of its tasks' ends, set by the operator, and signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from portraitd.db import accounts
from portraitd.db import webhooks as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.webhooks import Mail, WebhookRow
from portraitd.errors import (
    ConnectionRefused,
    DownloadTimeout,
    InvalidURL,
    MediaDownloadFailed,
    PortraitdError,
    SetupError,
)
from portraitd.portraits.addresses import permitted
from portraitd.portraits.fetch import parse_url
from portraitd.portraits.post import Poster

_PREFIX = "whsec_"
#: Why no answer came, for the operator.
_PREVENTED: Mapping[type[PortraitdError], str] = {
    InvalidURL: "address refused",
    ConnectionRefused: "no connection",
    DownloadTimeout: "no answer in time",
    MediaDownloadFailed: "broken answer",
}


def new_secret() -> str:
    """A secret to sign with; 256 random bits, as long as what is signed with them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def signed(secret: str, event_id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The headers by which whoever knows the secret can tell who sent the body, and when."""
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode("ascii")
    return {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


@dataclass(frozen=True)
class Envelope:
    """An event about to be sent."""

    url: str
    secret: str
    event_id: str
    body: bytes


@dataclass(frozen=True)
class Sender:
    """Signs and posts; safe to share between threads."""

    poster: Poster
    clock: Clock

    def send(self, envelope: Envelope) -> str:
        """What came back: the status of the answer, or what prevented one."""
        headers = signed(envelope.secret, envelope.event_id, self.clock(), envelope.body)
        try:
            return str(self.poster.post(envelope.url, envelope.body, headers))
        except PortraitdError as error:
            return _PREVENTED.get(type(error), error.code)


def is_success(answer: str) -> bool:
    """Has the receiver taken what it was sent?"""
    return len(answer) == 3 and answer.startswith("2")


@dataclass(frozen=True)
class WebhookDesk:
    """What `portraitd webhook` does."""

    database: Database
    clock: Clock
    sender: Sender
    #: The body of an event that means nothing, by the event's id and the account's.
    trial: Callable[[str, str, datetime], bytes]

    def set(self, account: str, url: str) -> str:
        """The secret of the account's webhook, new as it is itself; raises SetupError for a URL that cannot be one."""
        self._check(url)
        secret = new_secret()
        with self.database.write() as conn:
            rows.put(conn, accounts.existing_account(conn, account), url, secret, self.clock())
        return secret

    def list(self) -> tuple[tuple[WebhookRow, Mail], ...]:
        """Every webhook, and how its events of the last days stand."""
        with self.database.read() as conn:
            return tuple((row, rows.mail_of(conn, row.account_id)) for row in rows.everything(conn))

    def remove(self, account: str) -> None:
        """Tell the account nothing any more, and forget what waits; raises SetupError when it has no webhook."""
        with self.database.write() as conn:
            if not rows.remove(conn, accounts.existing_account(conn, account)):
                raise _missing(account)
        self.database.scrub()

    def test(self, account: str) -> str:
        """What the webhook answers to an event that means nothing; raises SetupError when the account has none."""
        with self.database.read() as conn:
            row = rows.of_account(conn, accounts.existing_account(conn, account))
        if row is None:
            raise _missing(account)
        event_id = f"msg_{uuid4().hex}"
        body = self.trial(event_id, row.account_id, self.clock())
        return self.sender.send(Envelope(row.url, row.secret, event_id, body))

    def _check(self, url: str) -> None:
        try:
            target = parse_url(url)
        except InvalidURL as error:
            raise SetupError(
                "events are sent to http and https URLs in ASCII, without spaces, user or password"
            ) from error
        poster = self.sender.poster
        try:
            addresses = poster.resolve(target.host, target.port)
        except (OSError, UnicodeError):
            return  # a name may come to life later; `test` tells that it has not
        if not list(permitted(addresses, poster.allow)):
            raise SetupError(
                f"{target.host} is not at a public address: PORTRAITD_FETCH_ALLOW must name its network, "
                "here and where the workers run"
            )


def _missing(account: str) -> SetupError:
    return SetupError(f"the account {account} has no webhook; see `portraitd webhook list`")
