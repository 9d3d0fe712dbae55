"""Business portraits and scenes: the person in a rendered place, in its light, as one photograph."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from portraitd.engines.classic.presets import particles
from portraitd.engines.classic.presets.clothes.tailor import Outfit
from portraitd.engines.classic.presets.compose import merge, relight
from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.dressing import in_clothes
from portraitd.engines.classic.presets.exposure import exposed, person_light
from portraitd.engines.classic.presets.framing import PORTRAIT, Wish
from portraitd.engines.classic.presets.grade import Grade, finish
from portraitd.engines.classic.presets.recipe import Look, SceneRecipe, outfit_of
from portraitd.engines.classic.presets.scenes import nature, places, sport, studio, winter
from portraitd.engines.classic.presets.scenes.paint import enlarged
from portraitd.images import Floats, Image

_PAINTERS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "spring_garden": nature.spring_garden,
    "running_track": sport.running_track,
    "autumn_wood": nature.autumn_wood,
    "chinese_winter": winter.chinese_winter,
    "hong_kong_night": places.hong_kong_night,
    "bright_room": places.bright_room,
}

#: Linear light of white cloth over that of a face.
WHITE = 2.3
#: How much larger than usual a face may be where a photo shows little besides it: a close-up is a portrait, too.
EMERGENCY = 2.0
#: Where the chin should be at most, px.
CHIN_AT_MOST = 696.0


def scene_portrait(
    cut: Callable[[Wish, float, Outfit | None], Cutout], recipe: SceneRecipe, choice: int, rng: np.random.Generator
) -> Image:
    """(1024, 768, 3) uint8: the person that `cut` cuts out in the recipe's look number `choice`."""
    look = recipe.looks[choice]
    painting, flying, grain = rng.spawn(3)
    with ThreadPoolExecutor(1) as helper:  # the place is painted while the person is cut out
        painted = helper.submit(_backdrop, recipe, look, choice, painting)
        cutout = cut(_wish(look), recipe.retouch, outfit_of(recipe.outfits, choice))
        person = person_light(cutout)
        person = exposed(person, cutout, look.light.skin)
        grade = _grade(recipe.grade, cutout)  # told from the photo, which clothes have none of
        person, cutout = in_clothes(person, cutout, WHITE * look.light.skin)
        backdrop = painted.result()
    person = relight(person, cutout, look.light, backdrop)
    picture = merge(person, cutout.alpha, backdrop, look.light.wrap)
    picture = particles.before(recipe.particles, flying, picture, cutout, min(1.0, 2.2 * look.light.skin))
    return finish(picture, grade, grain)


def _grade(grade: Grade, cutout: Cutout) -> Grade:
    """The style's grade; in black and white all over where the person's photo is."""
    if not cutout.is_grey():
        return grade
    return replace(grade, saturation=0.0, shadows=(0.0, 0.0, 0.0), highlights=(0.0, 0.0, 0.0))


def _backdrop(recipe: SceneRecipe, look: Look, choice: int, rng: np.random.Generator) -> Floats:
    """(H, W, 3) linear, with what flies behind the person."""
    canvas = _paint(recipe, look, choice, rng)
    return enlarged(particles.behind(recipe.particles, rng, canvas), PORTRAIT)


def _paint(recipe: SceneRecipe, look: Look, choice: int, rng: np.random.Generator) -> Floats:
    if recipe.scene == "studio":
        return studio.paper(rng, look.glow, look.edge, look.glow_at)
    return _PAINTERS[recipe.scene](rng, choice % 4)


def _wish(look: Look) -> Wish:
    face = (look.face_px, 0.85 * look.face_px, max(1.3 * look.face_px, 460.0))
    return Wish(
        face,
        (look.centre_x, 150.0),
        (look.headroom, 40.0, look.headroom + 90.0),
        chin_at_most=CHIN_AT_MOST,
        straighten=0.25,
        emergency=EMERGENCY,
    )
