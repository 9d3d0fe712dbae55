"""diffusers' pipeline that repaints a part of a picture, for several pictures of one person at once."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import Flux2KleinInpaintPipeline


class SharedReferences(Flux2KleinInpaintPipeline):  # type: ignore[misc]  # diffusers has no types
    """Shows every reference to each picture, however many there are of either.

    diffusers' own hands the references out, one a picture, where there are as many of them as pictures.
    """

    def prepare_image_latents(
        self, images: list[torch.Tensor], batch_size: int, generator: Any, device: torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of the picture to be repainted and of the references, and where they are, for the whole batch.

        images: the picture to be repainted, encoded, then (references, 3, height, width) where there are any.
        """
        picture, *references = images
        apart = [reference for several in references for reference in several.split(1)]
        prepared: tuple[torch.Tensor, torch.Tensor] = super().prepare_image_latents(
            [picture, *apart], batch_size, generator, device, dtype
        )
        return prepared
