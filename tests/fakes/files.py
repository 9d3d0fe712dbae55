"""Files as a form brings them."""

from __future__ import annotations

import io

from portraitd.portraits.requests import Upload


def sent(name: str, data: bytes, description: str | None = None, purpose: str | None = None) -> Upload:
    return Upload(name, io.BytesIO(data), description, purpose)


def told(upload: Upload) -> tuple[str, bytes, str | None, str | None]:
    """All that an upload says."""
    upload.content.seek(0)
    return upload.name, upload.content.read(), upload.description, upload.purpose
