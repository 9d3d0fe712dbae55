"""Pictures and files, by key: a local folder or an S3-compatible store."""

from portraitd.blobs.store import BlobMissing, Blobs, Held, StoreAway, open_blobs

__all__ = ["BlobMissing", "Blobs", "Held", "StoreAway", "open_blobs"]
