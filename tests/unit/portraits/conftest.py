from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from portraitd import wiring
from portraitd.db import tasks as rows
from portraitd.db.tasks import Kind
from portraitd.errors import InvalidFileSize, InvalidURL
from portraitd.portraits.finetune import Trainer
from portraitd.portraits.generate import Studio
from portraitd.portraits.identities import IdentityShelf
from portraitd.portraits.photos import MEGABYTE
from portraitd.portraits.requests import Account, Generate
from portraitd.portraits.services import Services
from portraitd.portraits.training_set import SourceReader
from portraitd.settings import load_settings
from portraitd.tasks.worker import Bench, Handler
from portraitd.wiring import House
from tests.fakes.engines import Instant, judge
from tests.fakes.stores import FakeClock, Stores


@dataclass
class FakeWeb:
    """The web as a dict; notes what was asked for."""

    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def fetch(self, url: str, limit_bytes: int) -> bytes:
        self.asked.append(url)
        if url not in self.pages:
            raise InvalidURL
        if len(self.pages[url]) > limit_bytes:
            raise InvalidFileSize(limit_bytes // MEGABYTE)
        return self.pages[url]


def picture(width: int = 600, height: int = 800, grey: int = 120, format: str = "JPEG") -> bytes:  # noqa: A002
    """A picture file of one grey; 0 has no face, as the fakes see it."""
    out = io.BytesIO()
    Pillow.fromarray(np.full((height, width, 3), grey, np.uint8)).save(out, format=format)
    return out.getvalue()


@dataclass
class Place:
    """A service without processes: requests go in through `services`, `work` does what was accepted."""

    house: House
    web: FakeWeb
    clock: FakeClock
    services: Services
    engine: Instant
    anne: Account
    bert: Account

    @property
    def bench(self) -> Bench:
        house = self.house
        shelf = IdentityShelf(house.database, house.blobs, self.engine, self.clock)
        reader = SourceReader(house.database, house.blobs, self.web)
        handlers: Mapping[Kind, Handler] = {
            Kind.GENERATE: Studio(self.engine, house.styles, shelf, house.blobs, self.web, judge),
            Kind.FINETUNE: Trainer(self.engine, house.blobs, reader, self.clock),
        }
        return Bench(house.database, house.life, handlers)

    def work(self, task_id: str) -> None:
        self.bench.handle(task_id)

    def generate(self, account: Account | None = None, **fields: object) -> str:
        """The id of an accepted task, Anne's if not said otherwise."""
        asked = {"request_id": "r", "style_id": "f_idcard_female", "count": 2, "identity_id": "women_model"} | fields
        return self.services.tasks.submit(account or self.anne, Generate(**asked)).id  # type: ignore[arg-type]

    def blob_names(self, below: str) -> list[str]:
        folder = self.house.settings.home / "blobs" / below
        return sorted(path.name for path in folder.rglob("*") if path.is_file())

    def count_rows(self, task_id: str) -> int:
        with self.house.database.read() as conn:
            return int(rows.get(conn, task_id) is not None)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = Stores(tmp_path_factory.mktemp("stores"))
    yield stores
    stores.close()


@pytest.fixture
def new_place(tmp_path: Path, stores: Stores) -> Iterator[Callable[..., Place]]:
    """Makes the place, with settings of one's own; once per test."""
    made: list[House] = []

    def make(**environ: str) -> Place:
        home = tmp_path / "home"
        home.mkdir()
        stores.sqlite(home / "portraitd.db")
        clock = FakeClock()
        settings = load_settings(
            {"PORTRAITD_HOME": str(home), "PORTRAITD_ENGINE": "tests.fakes.engines:instant", **environ}
        )
        web = FakeWeb()
        house = dataclasses.replace(wiring.open_house(settings, clock), fetcher=web)  # type: ignore[arg-type]
        made.append(house)
        anne, bert = (house.keys.authenticate(house.keys.create("key", name)) for name in ("anne", "bert"))
        return Place(house, web, clock, wiring.build_services(house), Instant(tmp_path / "trainings"), anne, bert)

    yield make
    for house in made:
        house.close()


@pytest.fixture
def place(new_place: Callable[..., Place]) -> Place:
    return new_place()
