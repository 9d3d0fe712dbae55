"""Who asks: the Bearer key and the workspace (contract section 7.1)."""

from __future__ import annotations

from portraitd.api.config import ApiConfig
from portraitd.errors import InvalidApiKey, MissingApiKey, WorkspaceAccessDenied


def read_key(header: str, config: ApiConfig) -> str:
    """The key in an Authorization header; any case of "Bearer" and any spacing will do.

    Raises MissingApiKey when there is none, InvalidApiKey for another scheme.
    """
    words = header.split()
    match [word.lower() for word in words]:
        case [] | ["bearer"]:
            raise MissingApiKey
        case ["bearer", _]:
            return words[1]
        case [_] if config.accept_bare_keys:
            return words[0]
    raise InvalidApiKey


def check_workspace(workspace: str, config: ApiConfig) -> None:
    """Raise WorkspaceAccessDenied for a workspace that is named and does not exist."""
    if workspace and config.workspaces is not None and workspace not in config.workspaces:
        raise WorkspaceAccessDenied
