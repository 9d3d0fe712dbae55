"""diffusers' pipelines, for several pictures at once: each shows all references of its own person, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import Flux2KleinInpaintPipeline, Flux2KleinPipeline


class OwnReferences(Flux2KleinPipeline):  # type: ignore[misc]  # diffusers has no types
    """Paints pictures of several people, whose references are given one person after the other.

    diffusers' own shows all references to every picture.
    """

    #: For each picture of the next batch, the number of its person among those whose references are given.
    whose: Sequence[int] = ()

    def prepare_image_latents(
        self, images: list[torch.Tensor], batch_size: int, generator: Any, device: torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of each picture's references, and where they are; every person has as many, of one size."""
        if len(self.whose) != batch_size:  # no picture may show what is somebody else's
            raise RuntimeError(f"{batch_size} pictures, told whose {len(self.whose)} are")
        each = len(images) // (max(self.whose) + 1)
        of_people = [images[first : first + each] for first in range(0, len(images), each)]
        prepared = [
            super(OwnReferences, self).prepare_image_latents(of, 1, generator, device, dtype) for of in of_people
        ]
        tokens, places = zip(*prepared, strict=True)
        return torch.cat([tokens[person] for person in self.whose]), torch.cat(
            [places[person] for person in self.whose]
        )


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
