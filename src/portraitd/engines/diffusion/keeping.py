"""An identity's bytes: the classic engine's, with the person's LoRA beside what it keeps.

The classic identity is a zip archive that is read by its members' names, so that one more does no harm: an identity
with a LoRA is still one without it to whoever does not ask, and one trained before there were LoRAs can be used on.
"""

from __future__ import annotations

import io
import zipfile

from portraitd.errors import AlgorithmFailed

_MEMBER = "lora.safetensors"


def with_lora(identity: bytes, lora: bytes) -> bytes:
    """The identity with this LoRA; the same two are the same bytes."""
    archive = io.BytesIO(identity)
    with zipfile.ZipFile(archive, "a") as members:
        # Without a date, which zipfile would take from the clock.
        members.writestr(zipfile.ZipInfo(_MEMBER), lora)
    return archive.getvalue()


def lora_of(identity: bytes) -> bytes | None:
    """The identity's LoRA, if it has one. Raises AlgorithmFailed for what is no identity."""
    try:
        with zipfile.ZipFile(io.BytesIO(identity)) as members:
            return members.read(_MEMBER) if _MEMBER in members.namelist() else None
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise AlgorithmFailed from error
