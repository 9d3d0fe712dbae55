"""Trained identities: who may use which, and the one that every service has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from portraitd.blobs import BlobMissing, Blobs
from portraitd.db import identities as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.identities import IdentityRow
from portraitd.engines.base import Engine, Photo
from portraitd.errors import AlgorithmFailed, ResourceAccessDenied
from portraitd.images import Image

_log = logging.getLogger(__name__)


def astronaut() -> Image:
    """Eileen Collins in 1999: (512, 512, 3) uint8. NASA, public domain; scikit-image carries it."""
    from skimage import data

    picture: Image = data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image publishes no types
    return picture


#: Identities for every account, by resource id, each with the photo it is trained from at first need.
BUILT_IN: Mapping[str, Callable[[], Image]] = {"women_model": astronaut}


def is_usable(conn: sa.Connection, account_id: str, identity_id: str) -> bool:
    """May the account make portraits of this identity now?"""
    row = None if identity_id in BUILT_IN else rows.get(conn, identity_id)
    return identity_id in BUILT_IN or (row is not None and row.account_id == account_id)


@dataclass(frozen=True)
class IdentityShelf:
    """Identities as bytes, for the engine that made them."""

    database: Database
    blobs: Blobs
    engine: Engine
    clock: Clock

    def take(self, account_id: str, identity_id: str) -> bytes:
        """The identity; a built-in one is trained now if nobody did yet. Raises ResourceAccessDenied."""
        if identity_id in BUILT_IN:
            return self._built_in(identity_id)
        row = self._row(identity_id)
        if row is None or row.account_id != account_id:
            raise ResourceAccessDenied
        if row.engine != self.engine.name:
            _log.error("identity %s was trained by engine %s, not %s", identity_id, row.engine, self.engine.name)
            raise AlgorithmFailed
        try:
            return self.blobs.get(row.blob_key)
        except BlobMissing as error:  # erased while this task waited
            raise ResourceAccessDenied from error

    def _built_in(self, identity_id: str) -> bytes:
        """Trained once per engine; processes that need it at the same time wait for the one that trains."""
        key = f"identities/{identity_id}/{self.engine.name}"
        if self.blobs.exists(key):
            return self.blobs.get(key)
        with self.database.alone("built-in"):
            if self.blobs.exists(key):
                return self.blobs.get(key)
            trained = self.engine.train([Photo(identity_id, BUILT_IN[identity_id]())])
            self.blobs.put(key, trained.identity)
            return trained.identity

    def _row(self, identity_id: str) -> IdentityRow | None:
        with self.database.read() as conn:
            return rows.get(conn, identity_id)
