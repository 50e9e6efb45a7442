"""The pages that --help prints; importing them costs neither Hydra nor torch."""

from __future__ import annotations

from gan_cli.settings.schema import config_dir, groups

_TRAIN_HELP = """\
gan-train: train a generative adversarial network

usage:  gan-train [group=option ...] [key=value ...] [-m for a sweep]

With no arguments it trains model=vanilla on data=digits, offline, and leaves
pictures, curves and checkpoints in outputs/vanilla-digits-1/.

groups and their options (the first is the default)
{groups}

the ten keys that matter most (default)
  steps=N              G updates; only says when to stop (depends on data)
  k=N                  D updates per G update (1)
  noise.dim=N          dimension of z, any from 1 up (depends on the model)
  optimizer.lr=X       learning rate; lr_d, lr_g for one player (depends too)
  data.batch_size=N    minibatch size m (depends on the data)
  data.root=DIR        where data files lie ($GAN_TRAIN_DATA, or data)
  device=NAME          auto, cpu, cuda, cuda:1, mps (auto)
  seed=N               one seed for everything (0)
  name=NAME            name of the run (<model>-<data>-<next number>)
  resume=RUN_DIR       continue a run, bit for bit as if it had never stopped

examples
  gan-train
  gan-train data=mnist data.root=data noise=uniform noise.dim=100 k=2
  gan-train data=ring loss=minimax noise.dim=2 optimizer.lr_g=0.0001
  gan-train data=ring eval_every=1000 objective=referee patience=5
  gan-train resume=outputs/vanilla-digits-1 steps=12000

more
  gan-train --cfg job            the whole config, every key with its value
  gan-train --config-dir DIR     add your own options to the groups
  gan-train --hydra-help         Hydra's own help, with shell completion
  objective=referee              rank and stop by a certified distance, which
                                 evaluations log as eval/jsd_at_least
  gan-sample run=RUN_DIR         new pictures from a trained run
  gan-translate run=RUN_DIR      images of one domain to the other (cyclegan)
  gan-evaluate run=RUN_DIR       what it is worth: metrics, each with its error
  gan-report run=RUN_DIR         the run as one page to look at and to send
  gan-export run=RUN_DIR         the generator as files for other programs
"""

SAMPLE_HELP = """\
gan-sample: pictures and arrays from a checkpoint

usage:  gan-sample run=RUN_DIR [key=value ...]

keys (default)
  run=PATH             a run directory (newest checkpoint), or a checkpoint file
  mode=NAME            one of those below (grid)
  n=N                  how many samples (64; 10 of each label), rows, held-out
                       data or units (8)
  seed=N               other seeds, other samples; mode=images: a list (0)
  labels=LIST          of a conditional model: a number, a name or a list (all)
  a=LIST               numbers of samples for mode=arithmetic ([0,1,2])
  b=LIST               likewise ([3,4,5])
  c=LIST               likewise ([6,7,8])
  attribute=NAME       slant, stroke: chooses what is not given of a, b, c
  interpolation=NAME   linear, spherical (linear for noise=uniform)
  input=PATH           of invert and reconstruct: a picture, or a folder
  starts=N             of their search: random z (8)
  steps=N              of descent from each of these (300)
  network=NAME         of filters: discriminator, generator (discriminator)
  layer=N              of filters: which, from 1 (D's last, G's first)
  data.root=DIR        where data files are now, if they have moved; data.file,
                       data.path likewise
  out=PATH             file, or folder for mode=images (in the run's samples/)
  device=NAME          auto, cpu, cuda, cuda:1, mps (auto)
  trust_checkpoint=B   import classes from outside gan_cli and torch (false)

modes
  grid                 one picture
  sheet                the same, with a number at each sample
  images               one file for each
  interpolate          rows that go from one z to another
  arithmetic           G of mean(z of a) - mean(z of b) + mean(z of c)
  invert               the z that draws each picture of input= best
  reconstruct          the same for data that training never saw
  filters              what excites units of D, or which units of G draw a class
  array                an .npz or .npy of samples in the data's own units

examples
  gan-sample run=outputs/vanilla-digits-1
  gan-sample run=outputs/vanilla-digits-1 n=100 seed=1 out=digits.png
  gan-sample run=outputs/vanilla-digits-1 mode=images n=10 out=digits
  gan-sample run=outputs/vanilla-digits-1 mode=interpolate
"""

TRANSLATE_HELP = """\
gan-translate: images from one domain of a CycleGAN to the other

usage:  gan-translate run=RUN_DIR input=PATH output=PATH [key=value ...]

keys (default)
  run=PATH             a run directory (newest checkpoint), or a checkpoint file
  input=PATH           a folder, with sub-folders if any, or one image
  output=PATH          folder for the translations, under the same names; for
                       one image a file, like x.png
  direction=NAME       a2b, b2a (a2b)
  side_by_side=B       each image beside its translation (false)
  device=NAME          auto, cpu, cuda, cuda:1, mps (auto)
  trust_checkpoint=B   import classes from outside gan_cli and torch (false)

Images may have any size and kind: gray stays gray, transparency is kept.

examples
  gan-translate run=outputs/horses input=photos output=zebras
  gan-translate run=outputs/horses input=zebra.jpg output=out direction=b2a
  gan-translate run=outputs/horses input=photos output=out side_by_side=true
"""

EVALUATE_HELP = """\
gan-evaluate: what a checkpoint is worth, in numbers

usage:  gan-evaluate run=RUN_DIR [key=value ...]

keys (default)
  run=PATH             a run directory (newest checkpoint), or a checkpoint file
  metrics=LIST         names, like [parzen,diversity] (all that suit)
  n=N                  samples, and real data to compare them with (10000)
  seed=N               of the samples (0)
  inception=PATH       weights of Inception for fid and kid, or download
  data.root=DIR        where data files are now, if they have moved; data.file,
                       data.path likewise
  out=FILE             (evaluation.json in the run directory)
  device=NAME          auto, cpu, cuda, cuda:1, mps (auto)
  trust_checkpoint=B   import classes from outside gan_cli and torch (false)

metrics, with their standard errors
  theory                  points: divergences from a known p_data (beside the
                            floor of their estimate), D against D*
  curve                   points on a curve: distance to it, and how much is covered
  nash_gap                losses that are V: what D or G could still gain alone
  referee                 all, with held-out data: how far p_g is from p_data at
                            least, certified by a fresh critic
  parzen                  images: log-likelihood under a Parzen window
  frechet_classifier      labelled images: distances on features of a classifier
  kernel_classifier         that is trained once on the data and kept in the
  prdc_classifier           user's cache; precision, recall, density, coverage
  fid, kid, prdc_inception  colour photos: on Inception's features
  label_agreement         cgan: does it draw what it is asked for?
  nn_error                cgan: of a nearest-neighbour classifier on 50,000 samples
  discriminator_features  dcgan: accuracy of a linear classifier on them
  diversity, nearest      all; nearest leaves a picture
  copies                  all, with held-out data: the share of samples that copy
                            training data, a test with a p-value, and a picture
  cycle, translation      cyclegan: error there and back, and against the truth

Numbers go to evaluation.json, metrics.jsonl and TensorBoard.

examples
  gan-evaluate run=outputs/vanilla-digits-1
  gan-evaluate run=outputs/vanilla-digits-1 metrics=[diversity,nearest] n=2000
  gan-evaluate run=outputs/vanilla-digits-1 seed=1 out=seed-1.json
"""

#: Options that `configs/train.yaml` chooses, to be named first.
DEFAULTS = {
    "model": "vanilla",
    "data": "digits",
    "noise": "normal",
    "loss": "non_saturating",
    "optimizer": "adam",
    "schedule": "constant",
}  # and no regularizer


def train_help() -> str:
    """--help of gan-train, with the options that the config folder holds."""
    lines = []
    options_of = groups(config_dir())
    for group in [*DEFAULTS, *(name for name in options_of if name not in DEFAULTS)]:
        options = sorted(options_of[group], key=lambda option: option != DEFAULTS.get(group))
        lines += _wrap(f"{group}=", options)
    return _TRAIN_HELP.format(groups="\n".join(lines))


def _wrap(label: str, options: list[str], *, width: int = 78) -> list[str]:
    """`  label   a, b, ...` on as many lines as it takes."""
    lines, line = [], f"  {label:<21}"
    for index, option in enumerate(options):
        word = option + ("," if index < len(options) - 1 else "")
        if len(line) + len(word) > width:
            lines.append(line.rstrip())
            line = " " * 23
        line += word + " "
    return [*lines, line.rstrip()]


REPORT_HELP = """\
gan-report: a run, a sweep or a comparison as one HTML file to look at and to send

usage:  gan-report run=DIR [key=value ...]
        gan-report runs=[DIR,DIR,...] [key=value ...]

keys (default)
  run=PATH             a run directory, or the folder of a sweep
  runs=LIST            run directories to compare; runs that differ only in
                       their seed are one setting
  out=FILE             where to (report.html in the run's or sweep's folder;
                       comparison.html in the current folder)
  watch=B              write it anew at each new picture until the run ends;
                       the page reloads itself (false)

The file holds all it shows: it opens without a network and without a server.
gan-train writes it at the end of each run and sweep, unless report=false.

examples
  gan-report run=outputs/vanilla-digits-1
  gan-report run=outputs/vanilla-digits-1 watch=true
  gan-report runs=[outputs/vanilla-digits-1,outputs/vanilla-digits-2]
  gan-report run=outputs/my_sweep out=sweep.html
"""

CLAIMS_HELP = """\
gan-claims: the GAN papers' claims, each shown, measured and judged

usage:  gan-claims [key=value ...]

keys (default)
  claims=LIST          numbers or names, like [13,theorem_1] (all)
  seed=N               of every experiment (0)
  jobs=N               how many run at once, each on one core (1)
  fast=B               few steps: shows that the experiments work, not that
                       the claims hold (false)
  out=FOLDER           claims.json, index.html, and a folder for each claim
                       (outputs/claims)

index.html reads like the paper, with each experiment in its place. The exit
code is 0 if all claims hold, and 1 if one does not.

examples
  gan-claims
  gan-claims claims=proposition_1
  gan-claims claims=[13,14] seed=1
  gan-claims jobs=2
"""

EXPORT_HELP = """\
gan-export: the generator of a run as files for other programs

usage:  gan-export run=RUN_DIR out=FOLDER [key=value ...]

keys (default)
  run=PATH             a run directory (newest checkpoint), or a checkpoint file
  out=FOLDER           where to; a new or an empty folder
  format=NAME          one of those below, or all (onnx)
  pixels=NAME          images come out as float in [0, 1], or as uint8 (float)
  license=NAME         for the model card: mit, cc-by-4.0 (left to fill in)
  trust_checkpoint=B   import classes from outside gan_cli and torch (false)

formats, and what their generate.py needs
  onnx                 for ONNX Runtime, browsers and phones: onnxruntime
  pt2                  a graph of torch.export: torch
  safetensors          weights, and a model.py to change: torch, safetensors

FOLDER holds the files, generate.py, which draws with them and needs no
gan-train, config.json, and README.md, a model card for Hugging Face. Each
file is run in a fresh process and held against the model: if any number
differs by more than 1e-4, nothing is written and the exit code is 1.

examples
  gan-export run=outputs/vanilla-digits-1 out=digits
  gan-export run=outputs/vanilla-digits-1 out=all format=all license=mit
  gan-export run=outputs/vanilla-digits-1 out=bytes pixels=uint8
"""
