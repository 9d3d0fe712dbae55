"""How good and how fast the classic engine's portraits are, next to a textbook face swap.

Prints tables; writes `portraits.json`, contact sheets and every picture below `--out`. docs/benchmarks.md says what
each figure means. Usage: python benchmarks/portraits.py [--portraits DIR] [--out DIR] [--quick] [--people DIR]
[--only swaps|presets|speed]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import report
import sheets
import speed
import swaps
from portraitd.faces.embed import distance
from portraitd.images import Size
from presets import ID_STYLES, Framed, Sitter, make, preset_styles
from subjects import Studio, Subject, by_person, numbered_photos, photos_by_folder, read_subjects, templates_of
from swaps import Swap

HERE = Path(__file__).parent
PORTRAITS = HERE.parents[1] / "shared" / "testdata" / "portraits"
#: What there is to measure.
PARTS = ("swaps", "presets", "speed")

console = Console(width=150)


def swap_everybody(studio: Studio, subjects: Sequence[Subject], templates: Sequence[Subject]) -> list[Swap]:
    """Every person in every template, by each method."""
    people = track(list(swaps.people(studio, subjects)), "people in templates", console=Console(stderr=True))
    return [swaps.swap(studio, person, template) for person in people for template in templates]


def all_presets(studio: Studio, subjects: Sequence[Subject]) -> list[Framed]:
    """ID photos of each photo alone; every preset, four choices, of each person's photos together."""
    made: list[Framed] = []
    for subject in track(subjects, "ID photos", console=Console(stderr=True)):
        identity = studio.engine.train([subject.photo]).identity
        for style in preset_styles():
            if style.id == ID_STYLES[0]:
                made += make(studio, style, Sitter(subject.name, identity, subject.embedding), 4)
    groups = by_person(subjects)
    for person, photos in track(groups.items(), "presets", total=len(groups), console=Console(stderr=True)):
        identity = studio.engine.train([photo.photo for photo in photos]).identity
        mean = np.mean([photo.embedding for photo in photos], axis=0)
        for style in preset_styles():
            made += make(studio, style, Sitter(person, identity, mean), 4)
    return made


def photo_pairs(subjects: Sequence[Subject]) -> dict[str, dict[str, float]]:
    """Identity distances between the photos themselves: of one person, and of two."""
    pairs = [(a, b) for i, a in enumerate(subjects) for b in subjects[i + 1 :]]
    same = [distance(a.embedding, b.embedding) for a, b in pairs if a.person == b.person]
    other = [distance(a.embedding, b.embedding) for a, b in pairs if a.person != b.person]
    return {"one person": report.spread(same), "two people": report.spread(other)}


def write_swap_sheets(
    out: Path, made: Sequence[Swap], subjects: Sequence[Subject], templates: Sequence[Subject]
) -> None:
    """A sheet of whole pictures and one of faces for each method: a row a source, a column a template."""
    meshes = {template.name: template.seen for template in templates}
    labels = ["photo", *meshes]
    for method in report.METHODS:
        by_key = {(s.source, s.template): s.image for s in made if s.method == method}
        names = ["template", *dict.fromkeys(source for source, _ in by_key)]
        photos = {s.name: s.seen for s in subjects if s.name in names}
        wholes = [[None, *(seen.image for seen in meshes.values())]]
        faces = [[None, *(sheets.face_square(seen.image, seen.mesh) for seen in meshes.values())]]
        for name in names[1:]:
            row = [by_key.get((name, template)) for template in meshes]
            wholes.append([photos[name].image, *row])
            photo = sheets.face_square(photos[name].image, photos[name].mesh)
            squares = [
                None if image is None else sheets.face_square(image, meshes[template].mesh)
                for image, template in zip(row, meshes, strict=True)
            ]
            faces.append([photo, *squares])
        stem = method.replace(", ", "_").replace(" ", "_")
        for kind, rows in (("pictures", wholes), ("faces", faces)):
            sheet = sheets.contact_sheet(rows, labels, names, Size(224, 224))
            sheets.save(out / f"{kind}_{stem}.png", sheet)
        for (source, template), image in by_key.items():
            sheets.save(out / "pictures" / stem / f"{source}_{template}.jpg", image)


def write_preset_sheets(out: Path, made: Sequence[Framed]) -> None:
    """Presets: a row a style, four choices a person. ID photos: a row a source."""
    styles, people = (list(dict.fromkeys(getattr(p, key) for p in made)) for key in ("style", "person"))
    whole = [person for person in people if any(p.person == person and p.style not in ID_STYLES for p in made)]
    by_key = {(p.style, p.person, p.seed): p.image for p in made}
    rows = [[by_key.get((style, person, k)) for person in whole for k in range(4)] for style in styles]
    labels = [f"{person} {k}" for person in whole for k in range(4)]
    sheets.save(out / "presets.png", sheets.contact_sheet(rows, labels, styles, Size(210, 280)))
    id_rows = [[by_key.get((ID_STYLES[0], person, k)) for k in range(4)] for person in people]
    sheets.save(out / "id_photos.png", sheets.contact_sheet(id_rows, list("0123"), people, Size(210, 280)))
    for (style, person, k), image in by_key.items():
        sheets.save(out / "pictures" / "presets" / f"{style}_{person}_{k}.jpg", image)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portraits", type=Path, default=PORTRAITS, help="NAME_1.png, NAME_2.png, ... and templates/")
    parser.add_argument("--people", type=Path, help="photos of real people, a subfolder each: identity figures only")
    parser.add_argument("--out", type=Path, default=HERE / "out")
    parser.add_argument("--weights", type=Path, help="the weights folder, if not the user's")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument("--quick", action="store_true", help="two photos a person, four templates, fewer rounds")
    return parser.parse_args()


def chosen(args: argparse.Namespace, studio: Studio) -> tuple[tuple[Subject, ...], tuple[Subject, ...]]:
    """The people and the templates asked for."""
    for folder in (args.people or args.portraits, args.portraits / "templates"):
        if not folder.is_dir():
            raise SystemExit(
                f"{folder} is no folder: name one with --portraits (docs/benchmarks.md says what is in it)"
            )
    files = photos_by_folder(args.people) if args.people else numbered_photos(args.portraits)
    subjects = read_subjects(studio, files)
    templates = templates_of(studio, args.portraits / "templates")
    if args.quick:
        subjects = tuple(s for photos in by_person(subjects).values() for s in photos[:2])
        templates = templates[::3][:4]
    if not subjects or not templates:
        raise SystemExit(f"no photos or no templates below {args.people or args.portraits}")
    return subjects, templates


def measure_speed(
    args: argparse.Namespace, studio: Studio, subjects: Sequence[Subject], templates: Sequence[Subject]
) -> dict[str, object]:
    """Seconds of everything, and a fresh process; printed as they come."""
    rounds = 2 if args.quick else 5
    sitters = speed.Sitters(studio, list(by_person(subjects).values()))
    with_template = speed.template_seconds(sitters, templates[:: max(1, len(templates) // 3)][:3], rounds)
    console.print(report.seconds_table(with_template, "One and four portraits of 768 x 1024 in a template"))
    pack = tuple(next((args.portraits / "templates").glob(f"{template.name}.*")) for template in templates[:4])
    of_presets = speed.preset_seconds(sitters, pack, rounds)
    console.print(report.seconds_table(of_presets, "Training and presets"))
    files = [file for _, file in numbered_photos(args.portraits) if file.stem in {p.name for p in sitters.photos}]
    template = next((args.portraits / "templates").glob(f"{templates[0].name}.*"))
    fresh = speed.cold(studio, files, template, args.out / "cold")
    console.print(fresh)
    record = report.seconds_record
    return {"template": record(with_template), "presets": record(of_presets), "fresh": fresh}


def run_swaps(
    args: argparse.Namespace, studio: Studio, subjects: Sequence[Subject], templates: Sequence[Subject]
) -> dict[str, object]:
    """Every person in every template: tables, sheets, and what goes into the JSON file."""
    made = swap_everybody(studio, subjects, templates)
    pairs = photo_pairs(subjects)
    console.print("identity distance between photos:", pairs)
    console.print(report.figures_table(made), report.counts_table(made), report.worst_table(made))
    write_swap_sheets(args.out, made, subjects, templates)
    return {"photos": pairs, "summary": report.summary(made), "swaps": [swap.record() for swap in made]}


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    studio = Studio(args.weights)
    subjects, templates = chosen(args, studio)
    found: dict[str, object] = {"machine": report.machine()}
    console.print(found["machine"])
    parts = ("swaps",) if args.people else (args.only,) if args.only else PARTS
    if "swaps" in parts:
        found |= run_swaps(args, studio, subjects, templates)
    if "presets" in parts:
        framed = all_presets(studio, subjects)
        console.print(report.checks_table(framed), report.presets_table(framed))
        found["presets"] = [{k: v for k, v in asdict(photo).items() if k != "image"} for photo in framed]
        write_preset_sheets(args.out, framed)
    if "speed" in parts:
        found["seconds"] = measure_speed(args, studio, subjects, templates)
    (args.out / "portraits.json").write_text(json.dumps(found, indent=1))
    console.print(f"{args.out}: portraits.json, contact sheets, pictures/")


if __name__ == "__main__":
    main()
