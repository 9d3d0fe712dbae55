"""What an operator can set about the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass, field

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class ApiConfig:
    """Limits and choices of the HTTP edge. The defaults are the contract's; `wiring.py` fills it from the settings."""

    #: Largest `parameters.n`; the vendor's own pages say 4 and 5.
    max_count: int = 4
    #: Most pictures in one face check.
    max_detect_images: int = 10
    #: Most entries of `training_file_ids`.
    max_training_files: int = 10
    #: Longest body of anything but an upload, in bytes.
    max_json_bytes: int = MEGABYTE
    #: Longest body of a file upload, all its files together, in bytes.
    max_upload_bytes: int = 1024 * MEGABYTE
    #: Most files in one upload; more are refused as a whole.
    max_upload_files: int = 100
    #: Workspace ids that exist; None lets any through, for a service that has no workspaces.
    workspaces: frozenset[str] | None = None
    #: Accept `Authorization: <key>` without the word Bearer, as one app in the wild sends it.
    accept_bare_keys: bool = False
    #: Answer an unknown model with 404 ModelNotFound (the vendor's page) instead of 400 (the vendor's gateway).
    unknown_model_is_404: bool = False
    #: What a monitor sends as Bearer to read /metrics; "" for no such path.
    metrics_token: str = field(default="", repr=False)
    #: How often an open event stream looks at its job, and the longest it says nothing, in seconds.
    stream_poll_s: float = 1.0
    stream_heartbeat_s: float = 15.0
    #: What replies name as the region and the workspace.
    region: str = "cn-beijing"
    workspace_id: str = "llm-default"
