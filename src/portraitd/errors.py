"""The error tree: a class is a wire code, an HTTP status and one sentence (wire-contract sections 1.6, 4.8, 7.3).

Raise at the cause. Only `api/replies.py` and the worker catch. The same error serves both places a client can meet it:
refused at submit (`status`, top-level `code`) or in a task that ran and FAILED (`output.code`, HTTP 200).
"""

from __future__ import annotations

from typing import ClassVar


class PortraitdError(Exception):
    """Base of everything portraitd tells a client; `message` is the exact text on the wire."""

    code: ClassVar[str] = "InternalError"
    status: ClassVar[int] = 500
    text: ClassVar[str] = "An internal error has occured, please try again later or contact service support."

    def __init__(self, message: str | None = None) -> None:
        self.message = self.text if message is None else message
        super().__init__(self.message)


# -- who asks ---------------------------------------------------------------------------------------------------------


class InvalidApiKey(PortraitdError):
    code, status, text = "InvalidApiKey", 401, "Invalid API-key provided."


class MissingApiKey(InvalidApiKey):
    text = "No API-key provided."


class AccessDenied(PortraitdError):
    code, status, text = "AccessDenied", 403, "Access denied."


class SynchronousCallRefused(AccessDenied):
    text = "current user api does not support synchronous calls."


class AsynchronousCallRefused(AccessDenied):
    text = "Current user api does not support asynchronous calls."


class WorkspaceAccessDenied(PortraitdError):
    code, status, text = "Workspace.AccessDenied", 403, "Workspace access denied."


class ResourceAccessDenied(PortraitdError):
    """An identity that is unknown, unfinished, or another account's: one answer, so that none can be probed."""

    code, status, text = "Resource.AccessDenied", 403, "Resource access denied."


# -- what was asked ---------------------------------------------------------------------------------------------------


class InvalidParameter(PortraitdError):
    code, status = "InvalidParameter", 400
    text = (
        "The request is missing required parameters or the parameters are out of the specified range, "
        "please check the parameters that you send"
    )


class InvalidStyle(InvalidParameter):
    text = "The style is invalid."


class UnknownModel(InvalidParameter):
    text = "Model not exist."


class ModelNotFound(PortraitdError):
    """What the vendor's error page says of an unknown model; its gateway answers UnknownModel. A setting chooses."""

    code, status, text = "ModelNotFound", 404, "Model can not be found."


class WrongModelForPath(InvalidParameter):
    text = "url error, please check url！"


class MissingTrainingFiles(InvalidParameter):
    text = "Missing training files."


class IdempotencyKeyReused(InvalidParameter):
    text = "This Idempotency-Key was used with another request."


class BadIdempotencyKey(InvalidParameter):
    text = "An Idempotency-Key is 1 to 255 characters of ASCII without spaces."


class FieldRequired(InvalidParameter):
    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"Field required: {field}")


class FileMissing(InvalidParameter):
    """The contract answers a missing file with 400, not 404 (section 5.3)."""

    text = "File not found."


class EmptyModel(PortraitdError):
    code, status, text = "BadRequest.EmptyModel", 400, 'Required parameter "model" missing from request.'


class EmptyInput(PortraitdError):
    code, status, text = "BadRequest.EmptyInput", 400, "Required input parameter missing from request."


class EmptyParameters(PortraitdError):
    code, status, text = "BadRequest.EmptyParameters", 400, 'Required parameter "parameters" missing from request.'


class IllegalInput(PortraitdError):
    code, status, text = "BadRequest.IllegalInput", 400, "The input parameter requires json format."


class PayloadTooLarge(PortraitdError):
    code, status, text = "BadRequest.TooLarge", 400, "Payload Too Large."


class TooManyFiles(PortraitdError):
    code, status = "BadRequest.TooMany", 400

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"Out of number, <{count}> of <{limit}> files has been uploaded.")


class NotFound(PortraitdError):
    code, status, text = "NotFound", 404, "Not found!"


class PathNotFound(NotFound):
    text = "Request path not found."


class UnsupportedOperation(PortraitdError):
    code, status = "UnsupportedOperation", 400
    text = "The operation is unsupported on the referee object."


class CancelRefused(UnsupportedOperation):
    text = "Failed to cancel the task, please confirm if the task is in PENDING status."


class JobBusy(UnsupportedOperation):
    """Deleting a fine-tune job that still runs."""

    text = "The fine-tune job can not be deleted because it is pending, queuing, running or canceling: cancel it first."


class Throttled(PortraitdError):
    code, status, text = "Throttling", 429, "Requests throttling triggered."

    #: When asking again may help, in seconds from now.
    retry_after_s: float = 60.0


class TooMuchUnfinished(Throttled):
    """More tasks wait or run than the account, or its key, may have."""

    retry_after_s = 5.0


class RateExceeded(Throttled):
    code, status = "Throttling.RateQuota", 429
    text = "Requests rate limit exceeded, please try again later."

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class TooManyJobs(Throttled):
    def __init__(self, limit: int) -> None:
        super().__init__(f"Only {limit} fine-tune job in running or succeeded allowed per user.")


# -- pictures and URLs ------------------------------------------------------------------------------------------------


class InvalidURL(PortraitdError):
    code, status = "InvalidURL", 400
    text = "Required URL is missing or invalid, please check the request URL."


class ConnectionRefused(InvalidURL):
    code = "InvalidURL.ConnectionRefused"

    def __init__(self, host: str) -> None:
        super().__init__(f"Connection to {host} refused, please provide available URL.")


class DownloadTimeout(InvalidURL):
    code = "InvalidURL.Timeout"

    def __init__(self, host: str) -> None:
        super().__init__(f"Download {host} timeout, please check network connection.")


class UploadRefused(PortraitdError):
    code, status = "AccessDenied", 403


class MediaDownloadFailed(PortraitdError):
    code, status = "InvalidParameter.DataInspection", 400
    text = "Unable to download the media resource during the data inspection process."


class InvalidImageFormat(PortraitdError):
    code, status, text = "InvalidImageFormat", 400, "The input image is in invalid format."


class InvalidImageResolution(PortraitdError):
    code, status, text = "InvalidImageResolution", 400, "The input image resolution is too large or small"


class InvalidFileSize(PortraitdError):
    code, status = "InvalidFile.Size", 400

    def __init__(self, limit_mb: int) -> None:
        super().__init__(f"Invalid file size, The image file size must be smaller than {limit_mb}MB.")


class NoHumanFace(PortraitdError):
    code, status, text = "InvalidImage.NoHumanFace", 400, "No human face detected."


class NoUsablePhoto(PortraitdError):
    code, status = "InvalidFile.NoHuman", 400
    text = "The input image has no human body. Please upload other image with single person."


class MultipleFaces(PortraitdError):
    code, status = "InvalidFile.MultiHuman", 400
    text = "The input image has multi human bodies. Please upload other image with single person."


class BadFacePose(PortraitdError):
    code, status = "InvalidFile.FacePose", 400
    text = "The pose of the detected face is invalid, please upload other image with the expected orientation."


class FaceCovered(PortraitdError):
    code, status = "InvalidFile.FullFace", 400
    text = "The pose of the detected face is invalid, please upload other image with whole face."


class FaceTooSmall(PortraitdError):
    code, status = "InvalidFile.BodyProportion", 400
    text = "The proportion of the detected person in the picture is too large or too small, please upload other image."


class HeadCutOff(FaceTooSmall):
    """A photo that ends so near to the face that no preset can be made of it."""


class BadLight(PortraitdError):
    code, status = "InvalidFile.Value", 400
    text = "The value of the image is invalid, please upload other clearer image."


# -- our own failures -------------------------------------------------------------------------------------------------


class AlgorithmFailed(PortraitdError):
    code, text = "InternalError.Algo", "An internal error has occured during algorithm execution."


class NotAlike(AlgorithmFailed):
    """A training whose best portraits are of somebody else; the contract has no code of its own for it."""

    text = (
        "The identity that was trained does not look like the person in the photos. Train again with 4 to 10 clear, "
        "evenly lit photos of one person, some of them from the front."
    )


class TaskTimedOut(PortraitdError):
    code = "InternalError.Timeout"
    text = "An internal timeout error has occured during execution, please try again later or contact service support."


class SetupError(PortraitdError):
    """Something on this machine is missing or wrong (weights, settings, style data); says how to mend it."""
