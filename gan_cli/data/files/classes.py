"""Which sub-folders of a folder of images are its classes, and which are splits above classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gan_cli.data.files.archives import LABELS, ArchivePath, Source, stylegan_labels
from gan_cli.data.files.listing import Listing, list_files
from gan_cli.errors import printable

TRAIN = ("train", "training")
#: Folders with data that training never sees, the best one for tests first.
HELD_OUT = ("test", "testing", "val", "valid", "validation")
MOST_NAMED = 10  # files or folders in a note

#: Whether a file of a listing, by its number, can be used as an image.
IsUsable = Callable[[int], bool]
UsableIn = Callable[[Listing], IsUsable]


@dataclass(frozen=True)
class Folders:
    """What training reads, and what it never sees.

    Attributes:
        train: the files that training uses.
        test: the folder with test images, beside that of `train`; None: there is none.
    """

    train: Listing
    test: Source | None = None


def find_classes(listing: Listing, is_usable: IsUsable) -> Listing:
    """A listing whose classes are the sub-folders that hold usable images.

    A usable image at the top means that there are no classes. Any other file there means nothing,
    and a sub-folder without usable images is no class.

    Args:
        listing: all files, its classes all sub-folders; see `list_files`.
        is_usable: asked for files until one of a folder can be used.
    """
    tops = [Path(name).parts[0] for name in listing.files]
    folders: dict[str, list[int]] = {}
    at_top: list[int] = []
    for number, (top, name) in enumerate(zip(tops, listing.files, strict=True)):
        if top == name:
            at_top.append(number)
        else:
            folders.setdefault(top, []).append(number)
    if not folders:
        return replace(listing, labels=[], classes=[])
    if any(map(is_usable, at_top)):
        note = (
            f"images lie at the top of {listing.root}, so its folders are no classes "
            f"({name_some(sorted(folders))}). For classes, move those images into folders too."
        )
        return replace(listing, labels=[], classes=[], notes=(note,))
    classes = sorted(name for name, numbers in folders.items() if any(map(is_usable, numbers)))
    notes = []
    if at_top and classes:
        names = name_some([listing.files[number] for number in at_top])
        notes.append(f"no images, and not used, beside the folders of classes: {names}.")
    if classes and (empty := sorted(set(folders) - set(classes))):
        notes.append(f"no usable image in {name_some(empty)}: not a class.")
    number_of = {name: number for number, name in enumerate(classes)}
    labels = [number_of.get(top, 0) for top in tops]  # of files that cannot be used: never asked
    return replace(listing, labels=labels if classes else [], classes=classes, notes=tuple(notes))


def find_folders(root: Source, *, key: str | None, usable_in: UsableIn) -> Folders:
    """The training images below a folder, their classes, and where test images are.

    Folders called train and test (or val) are no classes but splits: training reads the first.

    Args:
        root: the folder.
        key: the config key that names it, for messages; None: no key names it.
        usable_in: tells the usable files of a listing.

    Raises:
        UserError: no such folder, or no file in it.
    """
    listing = list_files(root, key=key)
    before: tuple[str, ...] = ()
    if isinstance(root, ArchivePath):
        labels, said = stylegan_labels(root)
        before = (*root.archive.notes, *said)
        if labels is not None:
            return Folders(labelled(listing, labels, before))
    listing = find_classes(listing, usable_in(listing))
    listing = replace(listing, notes=(*before, *listing.notes))
    by_name = {name.lower(): name for name in listing.classes}
    train = [by_name[name] for name in TRAIN if name in by_name]
    held_out = [by_name[name] for name in HELD_OUT if name in by_name]
    if len(train) != 1 or len(train) + len(held_out) != len(listing.classes):
        return Folders(listing)
    inner = list_files(root / train[0], key=key)
    inner = find_classes(inner, usable_in(inner))
    note = f"{train[0]}/ is no class but a split: training uses its images"
    if held_out:
        note += f", evaluation those in {held_out[0]}/"
    if held_out[1:]:
        note += f", and nothing those in {name_some(held_out[1:])}"
    notes = (*listing.notes, f"{note}.", *inner.notes)
    return Folders(replace(inner, notes=notes), root / held_out[0] if held_out else None)


def labelled(listing: Listing, labels: dict[str, int], notes: tuple[str, ...]) -> Listing:
    """A listing with the labels of StyleGAN's archives, whose folders are no classes.

    Args:
        listing: all files.
        labels: a number for each file; files without one are not used. Empty: there are no labels.
        notes: what is to be said besides.
    """
    if not labels:
        images = [name for name in listing.files if name != LABELS]
        return Listing(listing.root, images, [], [], notes)
    files = [name for name in listing.files if name in labels]
    known = sorted(set(labels.values()))
    number_of = {label: number for number, label in enumerate(known)}
    missing = [name for name in listing.files if name not in labels and name != LABELS]
    more = f"; {len(missing)} files without one are not used" if missing else ""
    note = f"{LABELS} labels {len(files)} images in {len(known)} classes{more}."
    numbers = [number_of[labels[name]] for name in files]
    return Listing(listing.root, files, numbers, list(map(str, known)), (*notes, note))


def held_out_listing(folder: Source, train: Listing, usable_in: UsableIn) -> Listing:
    """The files of a test folder, labelled by the training images' classes.

    Args:
        folder: with the same sub-folders as the training images, or some of them.
        train: the training images.
        usable_in: tells the usable files of a listing.

    Raises:
        UserError: no file in it.
    """
    listing = list_files(folder, key=None)
    if not train.classes:
        return replace(listing, labels=[], classes=[])
    listing = find_classes(listing, usable_in(listing))
    number_of = {name: number for number, name in enumerate(train.classes)}
    tops = [Path(name).parts[0] for name in listing.files]
    known = [number for number, top in enumerate(tops) if top in number_of]
    unknown = sorted(set(listing.classes) - set(train.classes))
    what = f"{name_some(unknown)} in {folder}: no such class in training, and not used."
    return Listing(
        folder,
        [listing.files[number] for number in known],
        [number_of[tops[number]] for number in known],
        train.classes,
        (what,) if unknown else (),
    )


def name_some(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(printable(name, keep="") for name in names[:MOST_NAMED]) + more
