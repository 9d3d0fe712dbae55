"""Erasing for good: bytes and rows of tasks, trainings, files and whole accounts, the queue's notes of them included.

Bytes go first: cut short, that leaves a row whose erasure can be asked for again, not a face that nobody knows of.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from portraitd.blobs import Blobs
from portraitd.db import accounts, belongings, files, identities, repeats, webhooks
from portraitd.db import tasks as rows
from portraitd.db.belongings import Bytes
from portraitd.db.engine import Database
from portraitd.db.files import FileRow
from portraitd.db.identities import IdentityRow
from portraitd.db.tasks import Kind
from portraitd.portraits.uploads import folder_of
from portraitd.tasks.life import Life
from portraitd.tasks.queue import Queue

_log = logging.getLogger(__name__)

#: Where the bytes of each kind of work lie, one folder per task.
FOLDERS = {Kind.GENERATE: "tasks", Kind.FINETUNE: "jobs"}


#: Where identities lie that an operator brought in.
IMPORTED = "imported"


def identity_key(job_id: str) -> str:
    """Where the identity that a training makes lies."""
    return f"{FOLDERS[Kind.FINETUNE]}/{job_id}/identity"


@dataclass(frozen=True)
class Eraser:
    """Erases; after each call nothing of it can be read from database or store."""

    database: Database
    blobs: Blobs
    queue: Queue

    def work(self, kind: Kind, task_ids: Sequence[str]) -> None:
        """Erase tasks that have ended, and the identities that they trained."""
        for task_id in task_ids:
            self.blobs.delete_prefix(f"{FOLDERS[kind]}/{task_id}")
        with self.database.write() as conn:
            identities.erase_at(conn, [identity_key(task_id) for task_id in task_ids])
            rows.erase(conn, task_ids)
            repeats.forget(conn, task_ids)
        self.queue.forget(task_ids)

    def file(self, file: FileRow) -> None:
        self.blobs.delete(file.blob_key)
        with self.database.write() as conn:
            files.erase(conn, file.id)
            repeats.forget_file(conn, file.account_id, file.id)

    def identity(self, row: IdentityRow) -> None:
        """Erase an identity that no training of the service made."""
        self.blobs.delete(row.blob_key)
        with self.database.write() as conn:
            identities.erase_at(conn, [row.blob_key])

    def account(self, name: str, life: Life) -> None:
        """Erase an account and all it has, running tasks included; raises SetupError when there is none of the name."""
        with self.database.read() as conn:
            account_id = accounts.existing_account(conn, name)
        with self.database.write() as conn:
            accounts.shut(conn, account_id)
            webhooks.remove(conn, account_id)
        # Its workers learn of it between two pictures, put nothing more away, and erase what they had put.
        self._stop(account_id, life)
        with self.database.read() as conn:
            found = belongings.bytes_of(conn, account_id)
        self._delete(account_id, found)
        with self.database.write() as conn:
            # A request that was under way when the account was shut may have added something since.
            accounts.lock_account(conn, account_id)
            late = belongings.bytes_of(conn, account_id)
            task_ids = belongings.task_ids(conn, account_id)
            belongings.erase(conn, account_id)
        self._delete(account_id, late)
        self.queue.forget(task_ids)
        self.database.scrub(thorough=True)

    def _stop(self, account_id: str, life: Life) -> None:
        with self.database.read() as conn:
            unfinished = belongings.task_ids(conn, account_id, rows.UNFINISHED)
        for task_id in unfinished:
            if life.cancel_pending(task_id):
                self.queue.cancel(task_id)
            else:
                life.ask_to_cancel(task_id)

    def _delete(self, account_id: str, found: Bytes) -> None:
        for kind, task_id in found.work:
            self.blobs.delete_prefix(f"{FOLDERS[kind]}/{task_id}")
        for key in found.keys:
            self.blobs.delete(key)
        self.blobs.delete_prefix(folder_of(account_id))
