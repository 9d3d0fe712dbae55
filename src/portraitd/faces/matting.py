"""Alpha between what is certain: the matting Laplacian, built where it is needed and solved coarse to fine.

Levin, Lischinski, Weiss 2008, "A closed-form solution to natural image matting".
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Floats, Mask

#: Colour variance below which a window counts as one colour (Levin et al.'s epsilon / 9), for colours in [0, 1].
RIDGE = 1e-6


@dataclass(frozen=True)
class Trimap:
    """What is known before solving."""

    #: (H, W) bool: certainly the person; certainly not.
    person: NDArray[np.bool_]
    backdrop: NDArray[np.bool_]


@dataclass(frozen=True)
class Prior:
    """What each undecided pixel is likely to be, and how much that opinion weighs against its neighbours' colours."""

    #: (H, W) in [0, 1].
    alpha: Mask
    #: (H, W) > 0; a pixel's own windows weigh up to 9.
    weight: Mask

    def halved(self) -> Prior:
        """The same at half the size."""
        size = (self.alpha.shape[1] // 2, self.alpha.shape[0] // 2)
        alpha = cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA)
        return Prior(np.asarray(alpha), np.asarray(cv2.resize(self.weight, size, interpolation=cv2.INTER_AREA)))


class MattingLaplacian:
    """The matting Laplacian of a (H, W, 3) float32 picture in [0, 1] between a set of unknown pixels and all others.

    Each 3 x 3 window adds I - F F^T, where F (9, 4) is orthonormal up to the ridge: a constant, and the window's
    whitened colours. Kept as the sparse product B^T B it is symmetric and positive by construction, which the textbook
    formula in float32 is not, and only windows that touch an unknown pixel are built.
    """

    def __init__(self, colours: Floats, unknown: NDArray[np.bool_]) -> None:
        from scipy.sparse import csr_array

        height, width = unknown.shape
        near = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8))
        near[[0, -1]] = 0
        near[:, [0, -1]] = 0
        centres = np.flatnonzero(near)
        steps = (np.arange(-1, 2)[:, None] * width + np.arange(-1, 2)).reshape(-1)
        self._windows = centres[:, None] + steps
        features = _window_features(colours.reshape(-1, 3)[self._windows]).transpose(0, 2, 1)
        columns = np.repeat(self._windows[:, None], 4, axis=1).reshape(-1)
        ends = np.arange(0, columns.size + 1, 9)
        factor = csr_array((features.reshape(-1), columns, ends), shape=(4 * centres.size, height * width))
        self._unknown = np.flatnonzero(unknown)
        count = np.bincount(self._windows.reshape(-1), minlength=height * width).astype(np.float32)
        self._count, self._all = count, factor
        self._inside = factor[:, self._unknown]
        self._inside_t = self._inside.T.tocsr()

    def diagonal(self) -> Floats:
        """(U,) diagonal entries of the unknown pixels."""
        squares = self._inside.multiply(self._inside).sum(axis=0)
        rest = self._count[self._unknown] - np.asarray(squares, np.float32).reshape(-1)
        return np.asarray(np.maximum(rest, 1e-3), np.float32)

    def inside(self, u: Floats) -> Floats:
        """(U,): L u for a map that is `u` at the unknown pixels and 0 elsewhere, read at the unknown pixels."""
        return np.asarray(self._count[self._unknown] * u - self._inside_t @ (self._inside @ u), np.float32)

    def unknown_of(self, p: Mask) -> Floats:
        """(U,): a (H, W) map at the unknown pixels."""
        return p.reshape(-1)[self._unknown]

    def at_unknown(self, p: Mask) -> Floats:
        """(U,): L p for a full (H, W) map p, read at the unknown pixels."""
        flat = p.reshape(-1)
        return np.asarray(
            self._count[self._unknown] * flat[self._unknown] - self._inside_t @ (self._all @ flat), np.float32
        )


def _window_features(colours: Floats) -> Floats:
    """(K, 9, 4) for the (K, 9, 3) colours of K windows: F with F F^T = (1 + c^T (cov + ridge)^-1 c) / 9."""
    centred = colours - colours.mean(axis=1, keepdims=True)
    covariance = np.einsum("kic,kid->kcd", centred, centred) / 9 + RIDGE * np.eye(3, dtype=np.float32)
    lower = np.linalg.cholesky(covariance)
    # Forward substitution by hand: three unknowns, many windows.
    x = centred[..., 0] / lower[:, 0, 0, None]
    y = (centred[..., 1] - lower[:, 1, 0, None] * x) / lower[:, 1, 1, None]
    z = (centred[..., 2] - lower[:, 2, 0, None] * x - lower[:, 2, 1, None] * y) / lower[:, 2, 2, None]
    return np.asarray(np.stack([np.ones_like(x), x, y, z], axis=-1) / 3, np.float32)


def solve_matte(colours: Floats, trimap: Trimap, prior: Prior, iterations: int = 40) -> Mask:
    """(H, W) alpha of least energy that keeps what the trimap knows. Conjugate gradients, coarse to fine.

    The energy is the Laplacian's plus the squared distance to the prior, times its weight.
    """
    return _solve(colours, trimap, prior, prior.alpha, iterations)


def _solve(colours: Floats, trimap: Trimap, prior: Prior, guess: Mask, iterations: int) -> Mask:
    unknown = ~(trimap.person | trimap.backdrop)
    height, width = unknown.shape
    if not unknown.any() or min(height, width) < 4:
        return np.where(unknown, guess, trimap.person).astype(np.float32)
    if min(height, width) >= 160:
        half = (width // 2, height // 2)
        coarse = Trimap(_shrunk(trimap.person, half), _shrunk(trimap.backdrop, half))
        small = np.asarray(cv2.resize(colours, half, interpolation=cv2.INTER_AREA), np.float32)
        start = solve_matte(small, coarse, prior.halved(), 2 * iterations)
        guess = np.asarray(cv2.resize(start, (width, height), interpolation=cv2.INTER_LINEAR))
    alpha = np.where(unknown, guess, trimap.person).astype(np.float32)
    laplacian = MattingLaplacian(colours, unknown)
    alpha[unknown] = _conjugate_gradients(laplacian, alpha, prior, iterations)
    return np.clip(alpha, 0, 1)


def _shrunk(flags: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Known stays known only where all of a coarse pixel is."""
    return np.asarray(cv2.resize(flags.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99)


def _conjugate_gradients(laplacian: MattingLaplacian, start: Mask, prior: Prior, iterations: int) -> Floats:
    """(U,) unknown alphas of least energy, from those of `start`; all else of it is known. Jacobi preconditioning."""
    u, weight = laplacian.unknown_of(start), laplacian.unknown_of(prior.weight)
    residual = weight * (laplacian.unknown_of(prior.alpha) - u) - laplacian.at_unknown(start)
    inverse_diagonal = 1 / (laplacian.diagonal() + weight)
    z = np.asarray(residual * inverse_diagonal, np.float32)
    direction: Floats = z.copy()
    rho = float(np.vdot(residual, z))
    for _ in range(iterations):
        if rho < 1e-8 * u.size:
            break
        ahead = laplacian.inside(direction) + weight * direction
        step = rho / max(float(np.vdot(direction, ahead)), 1e-12)
        u = np.asarray(u + step * direction, np.float32)
        residual = np.asarray(residual - step * ahead, np.float32)
        z = np.asarray(residual * inverse_diagonal, np.float32)
        rho, before = float(np.vdot(residual, z)), rho
        direction = np.asarray(z + (rho / before) * direction, np.float32)
    return u
