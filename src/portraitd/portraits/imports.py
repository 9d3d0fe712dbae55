"""Identities by the id an app already knows them by: brought in by the operator, listed, and erased."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from portraitd.blobs import Blobs
from portraitd.db import accounts, identities
from portraitd.db.engine import Clock, Database
from portraitd.db.identities import IdentityRow, OwnedIdentity
from portraitd.db.tasks import Kind
from portraitd.engines.base import Engine, Photo, Tell, Trained, trained_by
from portraitd.errors import SetupError
from portraitd.portraits.erase import FOLDERS, IMPORTED, Eraser
from portraitd.portraits.identities import BUILT_IN

#: What a client may name in `resources[].resource_id`.
_ID = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


@dataclass(frozen=True)
class IdentityRegister:
    """What `portraitd identity` does."""

    database: Database
    blobs: Blobs
    eraser: Eraser
    clock: Clock

    def bring_in(self, engine: Engine, identity_id: str, account: str, photos: Sequence[Photo], tell: Tell) -> Trained:
        """Train from the photos and keep the identity under this id, for the named account, which is made if need be.

        `tell` hears how far the training is. Raises SetupError for an id that no client could name or that is taken,
        and what training raises.
        """
        if not _ID.fullmatch(identity_id):
            raise SetupError(f"{identity_id!r} cannot be an id: 1 to 256 characters, none of them a control character")
        with self.database.read() as conn:
            _check_free(identity_id, identities.get(conn, identity_id))
        trained = trained_by(engine.training(photos), tell)
        key = f"{IMPORTED}/{uuid4()}/identity"
        self.blobs.put(key, trained.identity)
        try:
            with self.database.write() as conn:
                _check_free(identity_id, identities.get(conn, identity_id))
                account_id = accounts.ensure_account(conn, account, self.clock())
                identities.add(conn, IdentityRow(identity_id, account_id, engine.name, key, self.clock()))
        except Exception:
            self.blobs.delete(key)
            raise
        return trained

    def list(self) -> tuple[OwnedIdentity, ...]:
        """Every identity that was trained or brought in, oldest first."""
        with self.database.read() as conn:
            return identities.everyone(conn)

    def delete(self, identity_id: str) -> None:
        """Erase the identity, and the training that made it; raises SetupError when there is none of this id."""
        with self.database.read() as conn:
            row = identities.get(conn, identity_id)
        if row is None:
            raise SetupError(f"there is no identity {identity_id}; see `portraitd identity list`")
        folder, owner, _ = row.blob_key.split("/")
        if folder == FOLDERS[Kind.FINETUNE]:
            self.eraser.work(Kind.FINETUNE, [owner])
        else:
            self.eraser.identity(row)
        self.database.scrub()


def _check_free(identity_id: str, row: IdentityRow | None) -> None:
    if identity_id in BUILT_IN:
        raise SetupError(f"{identity_id} is built in: every account has it already")
    if row is not None:
        raise SetupError(f"{identity_id} is taken; `portraitd identity delete` makes it free")
