"""Pictures and files, by key: a local folder or an S3-compatible store."""

from portraitd.blobs.store import BlobMissing, Blobs, open_blobs

__all__ = ["BlobMissing", "Blobs", "open_blobs"]
