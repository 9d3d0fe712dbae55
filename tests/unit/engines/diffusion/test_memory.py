"""How much memory is free: a container's limit counts as the machine's does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from portraitd.engines.diffusion import memory
from portraitd.engines.diffusion.placement import GIB

ROOT = Path(__file__).parents[4]
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
V2 = ("memory.max", "memory.current", "")


def _group(folder: Path, names: tuple[str, str, str], limit: str, used_gib: int, files_gib: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    limit_file, used_file, prefix = names
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / used_file).write_text(f"{used_gib * GIB}\n")
    rows = f"anon 5\n{prefix}inactive_file {files_gib * GIB}\n{prefix}active_file {GIB}\ninactive_anon 7\n"
    (folder / "memory.stat").write_text(rows)


def _free_gib(tmp_path: Path, membership: str) -> list[float]:
    (tmp_path / "cgroup").write_text(membership)
    return [free / GIB for free in memory._free_in_groups(tmp_path / "cgroup", tmp_path / "groups")]


def test_a_container_s_limit_less_what_cannot_be_given_back(tmp_path: Path) -> None:
    _group(tmp_path / "groups", V2, str(16 * GIB), 10, files_gib=2)
    assert _free_gib(tmp_path, "0::/\n") == [9]


def test_the_limits_around_a_group_hold_too(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    _group(groups / "pod" / "one", V2, "max", 1)
    _group(groups / "pod", V2, str(8 * GIB), 4)
    assert _free_gib(tmp_path, "0::/pod/one\n") == [5]
    _group(groups / "pod" / "one", V2, str(4 * GIB), 2)
    assert _free_gib(tmp_path, "0::/pod/one\n") == [3, 5]


def test_the_first_version_of_groups_is_read_as_well(tmp_path: Path) -> None:
    _group(tmp_path / "groups" / "memory" / "box", V1, str(8 * GIB), 7, files_gib=3)
    membership = "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n"
    assert _free_gib(tmp_path, membership) == [5]


def test_a_group_that_is_out_of_sight_within_a_container_has_its_limit_at_the_root(tmp_path: Path) -> None:
    _group(tmp_path / "groups" / "memory", V1, str(8 * GIB), 7)
    assert _free_gib(tmp_path, "4:memory:/docker/0123\n") == [2]


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert not list(memory._free_in_groups(tmp_path / "none", tmp_path))
    assert not _free_gib(tmp_path, "0::/\n")


class Card:
    """What torch tells of a card of 80 GiB that has 78 left, 4 of them held by torch and 1 of these used."""

    share = 1.0

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def mem_get_info() -> tuple[int, int]:
        return 74 * GIB, 80 * GIB

    @staticmethod
    def memory_reserved() -> int:
        return 4 * GIB

    @staticmethod
    def memory_allocated() -> int:
        return GIB

    def get_per_process_memory_fraction(self) -> float:
        return self.share

    def set_per_process_memory_fraction(self, share: float) -> None:
        self.share = share


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    torch = pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
    card = Card()
    monkeypatch.setattr(torch, "cuda", card)
    return card


def test_what_torch_holds_of_the_card_and_does_not_use_is_free(card: Card) -> None:
    assert memory.free_memory().card == 77 * GIB
    card.share = 0.25
    assert memory.free_memory().card == 19 * GIB


def test_a_benchmark_s_small_card_is_as_small_for_the_tier_and_for_torch(card: Card) -> None:
    """Six GiB of the card are taken already, and are so of the smaller one."""
    spec = importlib.util.spec_from_file_location("small_card", ROOT / "benchmarks" / "small_card.py")
    assert spec is not None
    assert spec.loader is not None
    small_card = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(small_card)
    small_card.pretend_card(24)
    assert card.share * 80 == pytest.approx(18)
    assert memory.free_memory().card == pytest.approx(17 * GIB, abs=1)
    with pytest.raises(SystemExit, match="--card-gib 100"):
        small_card.pretend_card(100)


def test_the_machine_has_no_more_than_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
    (tmp_path / "cgroup").write_text("0::/\n")
    monkeypatch.setattr(memory, "_MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    assert memory.free_memory().machine > 12345
    _group(tmp_path / "groups", V2, str(12345 + GIB), 2)
    assert memory.free_memory().machine == 12345
