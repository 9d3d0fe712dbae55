"""The promise, checked: whatever died, each accepted task has one end, one bill, its pictures and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from portraitd.images import probe
from tests.crash.service import Service


def assert_books_balance(service: Service, states: Mapping[str, str]) -> None:
    """The service must be up. Tasks that it did not accept in this test must not be in its database."""
    rows = service.rows(list(states))
    assert {task_id: row.state.value for task_id, row in rows.items()} == states
    assert all(row.ended_at for row in rows.values())
    pictures = {task_id: [r.blob_key for r in service.results(task_id) if r.blob_key] for task_id in states}
    assert service.charges() == {
        task_id: len(pictures[task_id]) for task_id in states if states[task_id] == "SUCCEEDED"
    }
    service.sweep_orphans()
    assert service.stored("tasks") == {key for keys in pictures.values() for key in keys}
    for task_id, keys in pictures.items():
        links = [entry["url"] for entry in service.task(task_id).get("results", ()) if "url" in entry]
        assert len(links) == len(keys)
        for link in links:
            reply = httpx.get(link, timeout=30)
            assert reply.status_code == 200
            assert probe(reply.content).format == "jpeg"
