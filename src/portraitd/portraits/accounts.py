"""API keys: made once, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from portraitd.db import accounts as rows
from portraitd.db import repeats
from portraitd.db.accounts import KeyRow
from portraitd.db.engine import Clock, Database
from portraitd.errors import InvalidApiKey, SetupError
from portraitd.portraits.once import once
from portraitd.portraits.rates import read_rates
from portraitd.portraits.requests import Account
from portraitd.portraits.tokens import PREFIX, Tokens

#: The account that exists from the first start.
DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True)
class KeyLimits:
    """Limits of a key's own, in place of the service's; None: the service's."""

    #: As settings spell them; raises SetupError for any that make no sense.
    rates: str | None = None
    #: Tasks that wait or run; 0 is no limit.
    max_unfinished: int | None = None

    def __post_init__(self) -> None:
        try:
            read_rates(self.rates or "")
        except ValueError as error:
            raise SetupError(str(error)) from error


@dataclass(frozen=True)
class KeyRing:
    """The `Accounts` door of services.py, and what `portraitd key` does."""

    database: Database
    clock: Clock
    tokens: Tokens

    def authenticate(self, key: str) -> Account:
        """The account behind an API key or a token of one; raises InvalidApiKey."""
        by_token = key.startswith(PREFIX)
        key_id = self.tokens.key_id(key) if by_token else None
        with self.database.read() as conn:
            row = rows.live_key(conn, _sha256(key)) if key_id is None else rows.live_key_of_id(conn, key_id)
        if row is None:
            raise InvalidApiKey
        return Account(row.account_id, row.id, by_token, read_rates(row.rates or ""), row.max_unfinished)

    def token(self, account: Account, life: timedelta, repeat: str | None = None) -> tuple[str, datetime]:
        """A token for the caller's key, and when it ends; raises InvalidApiKey for one who came with a token.

        Otherwise whoever got hold of a token could keep it alive for ever. Under a `repeat` key that was used, the
        token made then, of which only its end is kept. Raises IdempotencyKeyReused.
        """
        if account.by_token:
            raise InvalidApiKey
        ends_at = self.clock() + life
        if asked := once(account, repeat, "token", account.key_id, life.total_seconds()):
            with self.database.write() as conn:
                ends_at = datetime.fromisoformat(repeats.make_once(self.database, conn, asked, ends_at.isoformat))
        return self.tokens.make(account.key_id, ends_at), ends_at

    def create(self, name: str, account: str = DEFAULT_ACCOUNT, limits: KeyLimits | None = None) -> str:
        """A new key for the named account, which is made if need be. It cannot be shown again."""
        limits = limits or KeyLimits()
        # 192 random bits: a plain hash of it cannot be guessed back, so none of the slow password hashes is needed.
        key = f"sk-{secrets.token_hex(24)}"
        with self.database.write() as conn:
            account_id = rows.ensure_account(conn, account, self.clock())
            row = KeyRow(
                id=secrets.token_hex(4),
                account_id=account_id,
                account=account,
                name=name,
                created_at=self.clock(),
                revoked_at=None,
                rates=limits.rates,
                max_unfinished=limits.max_unfinished,
            )
            rows.add_key(conn, row, _sha256(key))
        return key

    def list(self) -> tuple[KeyRow, ...]:
        """Every key, oldest first, revoked ones included."""
        with self.database.read() as conn:
            return rows.all_keys(conn)

    def revoke(self, key_id: str) -> bool:
        """Was there a live key of this id? It opens nothing any more."""
        with self.database.write() as conn:
            return rows.revoke_key(conn, key_id, self.clock())


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
