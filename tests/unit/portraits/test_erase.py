"""Erasing an account takes all it has and nothing of anybody else's; its tables cannot be forgotten."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from portraitd.db import belongings, schema, webhooks
from portraitd.errors import InvalidApiKey, SetupError
from portraitd.portraits.erase import Eraser
from portraitd.portraits.requests import Account, Finetune
from tests.fakes.files import sent
from tests.unit.portraits.conftest import Place, picture

#: Tables whose rows belong to no account, or go with a row that does.
OF_NOBODY = {"portraitd_migrations", "counters", "secrets", "executors", "accounts", "results", "figures"}


def test_every_table_belongs_to_accounts_or_is_known_not_to() -> None:
    """A new table either says whose each row is, so that `account delete` finds it, or is named above."""
    unowned = {table.name for table in schema.metadata.sorted_tables if "account_id" not in table.c}
    assert unowned == OF_NOBODY


def fill(place: Place, account: Account) -> None:
    """Give the account a webhook, a file, an identity, a finished task, a waiting one and one that is being done."""
    with place.house.database.write() as conn:
        webhooks.put(conn, account.id, "https://hook.example/", "whsec_c2VjcmV0", place.clock())
    files = place.services.files.upload(account, (sent("me.jpg", picture(), "my face"),)).stored
    job = place.services.finetunes.submit(account, Finetune(request_id="r", sources=(files[0].id,)))
    place.work(job.id)
    place.work(place.generate(account=account, identity_id=job.identity_id))
    place.generate(account=account)
    place.house.life.begin(place.generate(account=account))


def rows_of(place: Place, account: Account) -> int:
    found = 0
    with place.house.database.read() as conn:
        for table in schema.metadata.sorted_tables:
            if "account_id" in table.c:
                query = sa.select(sa.func.count()).where(table.c.account_id == account.id)
                found += conn.execute(query).scalar_one()
    return found


def test_an_account_goes_with_all_it_has_and_nothing_else(place: Place) -> None:
    fill(place, place.bert)
    before = rows_of(place, place.bert), len(place.blob_names("."))
    fill(place, place.anne)
    place.house.eraser.account("anne", place.house.life)
    assert rows_of(place, place.anne) == 0
    assert (rows_of(place, place.bert), len(place.blob_names("."))) == before
    assert {key.account for key in place.house.keys.list()} == {"bert"}
    with pytest.raises(SetupError, match="no account named anne"):
        place.house.eraser.account("anne", place.house.life)


def test_what_comes_in_while_the_account_is_erased_goes_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place, place.anne)
    delete = Eraser._delete
    came: list[str] = []

    def late(eraser: Eraser, account_id: str, found: belongings.Bytes) -> None:
        delete(eraser, account_id, found)
        if not came:
            came.append(place.services.files.upload(place.anne, (sent("late.jpg", picture()),)).stored[0].id)

    monkeypatch.setattr(Eraser, "_delete", late)
    place.house.eraser.account("anne", place.house.life)
    assert came
    assert rows_of(place, place.anne) == 0
    assert place.blob_names(".") == []


def test_a_worker_that_is_making_its_picture_puts_nothing_back(place: Place) -> None:
    task_id = place.generate(count=4)
    generate = place.engine.generate

    def erased_at_the_second(job):  # type: ignore[no-untyped-def]
        for number, outcome in enumerate(generate(job), 1):
            if number == 2:
                place.house.eraser.account("anne", place.house.life)
            yield outcome

    place.engine.generate = erased_at_the_second  # type: ignore[method-assign]
    place.work(task_id)
    assert place.blob_names("tasks") == []
    assert rows_of(place, place.anne) == 0


def test_its_keys_open_nothing_any_more(place: Place) -> None:
    key = place.house.keys.create("another", "anne")
    place.house.eraser.account("anne", place.house.life)
    with pytest.raises(InvalidApiKey):
        place.house.keys.authenticate(key)
