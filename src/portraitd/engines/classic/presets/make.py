"""Portraits of a trained identity in a preset style: ID photos, business portraits, scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np

from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.presets.clothes.tailor import Outfit
from portraitd.engines.classic.presets.cutout import BareShoulders, Cutout, Cutouts
from portraitd.engines.classic.presets.framing import Wish
from portraitd.engines.classic.presets.idphoto import MOST_TURN_DEG, WISH, id_photo
from portraitd.engines.classic.presets.recipe import IdPhotoRecipe, outfit_of, read_recipe
from portraitd.engines.classic.presets.scene import scene_portrait
from portraitd.errors import AlgorithmFailed, HeadCutOff
from portraitd.faces import regions
from portraitd.images import Image, Points
from portraitd.styles.catalog import Style

#: Cutouts of about 6 MB each, 15 with clothes: those of one job.
_cutouts = Cutouts(most=4)
#: Mesh points on the cheeks.
CHEEKS = (50, 280, 101, 330, 205, 425)


def make_preset(identity: Identity, style: Style, seed: int) -> Image:
    """One portrait, (1024, 768, 3) uint8, from identity, style and seed alone.

    The seed picks the style's choice (seed modulo their number: consecutive seeds are different choices), the clothes,
    which all backdrops of an ID photo share, the view, and everything random. Raises SetupError for a bad recipe,
    AlgorithmFailed when no view has a matte, HeadCutOff when all that have one show too little besides the face.
    """
    recipe = read_recipe(style)
    rng = np.random.default_rng(seed)
    if isinstance(recipe, IdPhotoRecipe):
        choice = seed % len(recipe.backdrops)
        views = usable_views(identity, yaw_deg=9.0, roll_deg=12.0)
        # A head can be turned to the camera, but its crown not be made up.
        turnable = usable_views(identity, yaw_deg=MOST_TURN_DEG, roll_deg=12.0)
        views = _whole(views) or _whole(turnable) or views
        turned = _besides(views, _whole(turnable))
        best = (sorted(some, key=_formality, reverse=True) for some in (views, turned))
        cut = _cut_of(identity, [view for some in best for view in some])
        outfit = outfit_of(recipe.outfits, seed // len(recipe.backdrops))
        return id_photo(cut(WISH, recipe.retouch, outfit), recipe.backdrops[choice], rng)
    choice = seed % len(recipe.looks)
    views = usable_views(identity, yaw_deg=28.0, roll_deg=24.0)
    first = choice % len(views)
    return scene_portrait(_cut_of(identity, [*views[first:], *views[:first]]), recipe, choice, rng)


def _cut_of(identity: Identity, views: Sequence[View]) -> Callable[[Wish, float, Outfit | None], Cutout]:
    """Cuts out the first of these views, or else of all views, whose photo shows enough besides the face.

    Where something formal is to be worn, bare shoulders that can't be dressed come after all others of these views.
    """
    others = [view for view in _besides(views, identity.views) if view.alpha is not None]

    def cut(wish: Wish, strength: float, outfit: Outfit | None) -> Cutout:
        made = partial(_cutouts, wish=wish, strength=strength, outfit=outfit)
        for choice in (views, others):
            bare = []
            for view in choice:
                try:
                    return made(view, even_bare=outfit is None)
                except HeadCutOff:
                    continue
                except BareShoulders:
                    bare.append(view)
            if bare:
                return made(bare[0], even_bare=True)
        raise HeadCutOff

    return cut


def usable_views(identity: Identity, yaw_deg: float, roll_deg: float) -> tuple[View, ...]:
    """Views with a matte, turned and tilted no more than asked, none much worse than the best; at least one. Of these
    only those on which the person is alone, if there are any."""
    cut = [view for view in identity.views if view.alpha is not None]
    if not cut:
        raise AlgorithmFailed
    fit = [view for view in cut if abs(view.pose.yaw_deg) <= yaw_deg and abs(view.pose.roll_deg) <= roll_deg]
    if not fit:
        return (min(cut, key=lambda view: abs(view.pose.yaw_deg) + 0.5 * abs(view.pose.roll_deg)),)
    good = tuple(view for view in fit if view.quality >= 0.6 * fit[0].quality)
    return tuple(view for view in good if view.alone) or good  # who stood behind a neighbour lacks a shoulder


def _besides(views: Sequence[View], more: Sequence[View]) -> list[View]:
    """Those of `more` that are none of the views."""
    return [view for view in more if all(view is not one for one in views)]


def _whole(views: Sequence[View]) -> tuple[View, ...]:
    return tuple(view for view in views if not crown_is_cut(view))


def _formality(view: View) -> float:
    """How well a view suits documents: quality, frontality, a neutral face, and shoulders that are clothed."""
    turned = abs(view.pose.yaw_deg) + abs(view.pose.roll_deg)
    return view.quality - 0.01 * turned - 0.5 * bare_share(view) - 0.3 * liveliness(view.mesh.xy)


def liveliness(points: Points) -> float:
    """0 for a (468, 2) face with its mouth closed and its eyes open, to 2 for a laugh or a blink."""

    def opening(upper: int, lower: int, left: int, right: int) -> float:
        across = float(np.linalg.norm(points[right] - points[left]))
        return float(np.linalg.norm(points[upper] - points[lower])) / max(across, 1e-3)

    mouth = opening(13, 14, *regions.MOUTH_CORNERS)
    eyes = min(opening(159, 145, *regions.LEFT_EYE_CORNERS), opening(386, 374, *regions.RIGHT_EYE_CORNERS))
    return float(np.clip(mouth / 0.25, 0, 1) + np.clip((0.16 - eyes) / 0.08, 0, 1))


def crown_is_cut(view: View) -> bool:
    """Whether the photo ends in the person's hair or forehead."""
    return view.alpha is not None and bool((view.alpha()[:2] > 0.3).any())


def bare_share(view: View) -> float:
    """Share of the person from the chin to a face's height below it that has the colour of the face's skin."""
    if view.alpha is None:
        return 0.0
    box = view.mesh.box
    y0, y1 = int(box.y1), int(box.y1 + box.height)
    below, body = view.image()[y0:y1], view.alpha()[y0:y1] > 0.9
    cheeks = np.clip(np.rint(view.mesh.xy[list(CHEEKS)]), 0, np.array(view.image().shape[1::-1]) - 1).astype(int)
    skin = cv2.cvtColor(view.image()[cheeks[:, 1], cheeks[:, 0]][None], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    if below.size == 0 or not body.any():
        return 0.0
    colours = cv2.cvtColor(np.ascontiguousarray(below), cv2.COLOR_RGB2LAB).astype(np.float32)[body]
    off = colours[:, 1:] - np.median(skin, axis=0)[1:]
    return float((np.hypot(off[:, 0], off[:, 1]) < 10).mean())
