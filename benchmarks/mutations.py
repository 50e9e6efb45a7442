"""The faults that `mutants.py` seeds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A fault: `old`, which stands in the file once, becomes `new`; some claims should notice."""

    name: str
    file: str
    old: str
    new: str
    claims: tuple[int, ...]
    fast: bool = True


LOSSES, LOOP, TURN = "gan_cli/losses.py", "gan_cli/training/loop.py", "gan_cli/training/turn.py"
GAN, CYCLE = "gan_cli/games/gan.py", "gan_cli/games/cyclegan.py"
BASE, FROM_NOISE = "gan_cli/games/base.py", "gan_cli/games/from_noise.py"
CONDITIONAL, BOUNDS = "gan_cli/games/conditional.py", "gan_cli/regularizers/bounds.py"
DIVERGENCE, DENSITY = "gan_cli/theory/divergence.py", "gan_cli/theory/density.py"
MOVES = "    for _ in range(k):  # k moves by D ...\n"

MUTANTS = (
    Mutant("G climbs on log(1 - D(G(z)))", LOSSES,
           "return -softplus(fake).mean()", "return softplus(fake).mean()", (5,)),
    Mutant("G lowers log D(G(z))", LOSSES,
           "return softplus(-fake).mean()", "return softplus(fake).mean()", (12,)),
    Mutant("D takes real for generated", LOSSES,
           "loss = softplus(-real).mean()", "loss = softplus(real).mean()", (30,)),
    Mutant("D takes generated for real", LOSSES,
           '"""-E[log(1 - D(G(z)))]."""\n        return softplus(fake).mean()',
           '"""-E[log(1 - D(G(z)))]."""\n        return softplus(-fake).mean()', (30,)),
    Mutant("D's loss is halved", LOSSES,
           "return self.d_weight * (self.real_term(real) + self.fake_term(fake))",
           "return 0.5 * (self.real_term(real) + self.fake_term(fake))", (30,)),
    Mutant("V has a sign turned", LOSSES,
           "return logsigmoid(real).mean() + logsigmoid(-fake).mean()",
           "return logsigmoid(real).mean() + logsigmoid(fake).mean()", (4,)),
    Mutant("critic's sign turned", LOSSES,
           '"""-E[D(x)]."""\n        return -real.mean()',
           '"""-E[D(x)]."""\n        return real.mean()', (27,), fast=False),
    Mutant("least squares: G aims at 0", LOSSES,
           "return self.g_weight * (fake - 1.0)", "return self.g_weight * (fake - 0.0)",
           (38,), fast=False),
    Mutant("G first", LOOP, MOVES,
           f'    batch = data.draw()\n    play(turns["g"], state.optimizers["g"], batch=batch, '
           f"**how)\n{MOVES}", (8,)),
    Mutant("k ignored", LOOP, "for _ in range(k):  #", "for _ in range(1):  #", (8,)),
    Mutant("G moves once too often", LOOP,
           "for number in range(g_moves):", "for number in range(g_moves + 1):", (8,)),
    Mutant("one batch for all moves of D", LOOP,
           f"{MOVES}        batch = data.draw()\n", f"    batch = data.draw()\n{MOVES}", (8,)),
    Mutant("stale noise", FROM_NOISE,
           "lambda n: self.noise.sample(n, generator=self.rng))",
           'lambda n: self.noise.sample(n, generator=generator_for(0, "z")))', (8,)),
    Mutant("samples repeat in blocks", FROM_NOISE,
           "blocks = [self.noise.sample(BLOCK, generator=generator) for",
           'blocks = [self.noise.sample(BLOCK, generator=generator_for(seed, "z")) for',
           (20, 4), fast=False),
    Mutant("D's optimizer has G's weights too", "gan_cli/settings/build.py",
           '"d": build_optimizer(config, "d", game.discriminators.parameters())',
           '"d": build_optimizer(config, "d", game.parameters())', (1,)),
    Mutant("gradients of earlier moves stay", TURN,
           "        p.grad = None\n", "        pass\n", (12,)),
    Mutant("D's batch statistics move in G's turn", TURN,
           "norm.track_running_stats = False", "pass", (1,)),
    Mutant("D's output doubled", GAN,
           "        return widened(outputs)\n", "        return 2 * widened(outputs)\n", (4,)),
    Mutant("real and generated swapped for D", GAN,
           "start=self.loss.d(real, fake))", "start=self.loss.d(fake, real))", (18,), fast=False),
    Mutant("D sees real data for fakes", GAN,
           "fakes = Batch(self.fakes(batch), batch.labels)",
           "fakes = Batch(batch.x, batch.labels)", (18,), fast=False),
    Mutant("data leak into G's move", GAN,
           "fake = self.logits(self.fakes(batch), batch.labels)",
           "fake = self.logits(self.fakes(batch) + 0.1 * batch.x, batch.labels)", (28,)),
    Mutant("the average stands still", BASE,
           "self.average.update(self.generators)", "self.average.updates += 1", (18,), fast=False),
    Mutant("R1 twice as strong", BOUNDS,
           "return 0.5 * squared_slopes(critic, real).mean()",
           "return squared_slopes(critic, real).mean()", (12,)),
    Mutant("R1 rewards steepness", BOUNDS,
           "return 0.5 * squared_slopes(critic, real).mean()",
           "return -0.5 * squared_slopes(critic, real).mean()", (12,)),
    Mutant("gradient penalty towards 0", BOUNDS,
           "return (slopes - 1.0).square().mean()", "return slopes.square().mean()",
           (27,), fast=False),
    Mutant("gradient penalty on the wrong side", BOUNDS,
           "return (slopes - 1.0).square().mean()", "return (1 - slopes).relu().square().mean()",
           (27,), fast=False),
    Mutant("penalties left out", BASE,
           'if self.moves["d"] % penalty.interval == 0:', "if False:", (12,)),
    Mutant("no cycle term", CYCLE,
           "loss = loss + self.cycle_weights[domain] * cycle", "pass", (37,), fast=False),
    Mutant("the wrong label is the right one", CONDITIONAL,
           "return (labels + shift) % self.spec.classes", "return labels", (35,), fast=False),
    Mutant("no third term", CONDITIONAL,
           "return [Batch(batch.x, self.wrong_labels(batch.labels))]", "return []",
           (35,), fast=False),
    Mutant("labels shuffled", "gan_cli/data/batches.py",
           "return values, None if labels is None else self.bring(labels)",
           "return values, None if labels is None else self.bring(labels.roll(1))",
           (36,), fast=False),
    Mutant("KL the other way round", DIVERGENCE,
           "(p[held] * (p[held] / q[held]).log()).sum()",
           "(q[held] * (q[held] / p[held]).log()).sum()", (16,)),
    Mutant("JSD not halved", DIVERGENCE,
           "return kl(p, middle) / 2 + kl(q, middle) / 2", "return kl(p, middle) + kl(q, middle)",
           (17,)),
    Mutant("data wider than their density", DENSITY,
           "(self.means[modes] + self.stds[modes, None] * noise)",
           "(self.means[modes] + 1.3 * self.stds[modes, None] * noise)", (14,), fast=False),
    Mutant("prior of one sign", "gan_cli/noise.py",
           "return z.mul_(self.std)", "return z.mul_(self.std).abs_()", (4,)),
    Mutant("the gap forgets D'", "gan_cli/evaluation/nash.py",
           "((better_d, g), (d, better_g))", "((better_d, g), (better_d, g))", (19,), fast=False),
    Mutant("D keeps no batch norm", "gan_cli/networks/dcgan.py",
           "normed=len(self.images) > 0)", "normed=False)", (31,), fast=False),
)  # fmt: skip
