"""Figure 1 of the 2014 paper, from one run.

The figure that explained GANs: dotted, the data; green, p_g; blue and dashed, D. Arrows lead from z
to x = G(z), and where they crowd, p_g is high.

(a) Both players are near their goal, D is only partly right. (b) D is trained to its best for this
G, and becomes p_data / (p_data + p_g). (c) G has moved along D's gradient, to where D calls data
real. (d) After many steps both can do no better: p_g = p_data and D = 1/2.
"""

from __future__ import annotations

from gan_cli.claims.base import Check, Claim, Outcome
from gan_cli.claims.drawing import name, several
from gan_cli.claims.lab import Lab
from gan_cli.theory.measure import Theory, measure, refit_discriminator
from gan_cli.theory.pictures import draw_theory

DATA_SETTINGS = ("data=gaussian", "data.mean=1")
START, LATER, END = 60, 120, 1500  # G's moves at (a), between (b) and (c), at (d)


def show(lab: Lab) -> Outcome:
    """Stop one run four times."""
    steps, samples = lab.steps(END, fast=12), lab.steps(200_000, fast=2000)
    experiment = lab.experiment(
        *DATA_SETTINGS, "data.batch_size=256", "noise.dim=1", "noise=uniform", "k=5",
        "model.generator.activation=tanh", "model.discriminator.fourier_features=64",
        "optimizer.lr=0.002", "optimizer.betas=[0.5,0.99]", "schedule=cosine",
        f"schedule.decay_steps={steps}", f"steps={steps}", "ema.decay=0.99",
    )  # fmt: skip
    game, density = experiment.game, experiment.density
    looks: list[Theory] = []
    figure, plots = several(4, width=4.2, height=4.2)

    def look(title: str) -> None:
        """Measure, and draw the next panel."""
        theory = measure(game, density, refit=False, samples=samples)
        plot = plots[len(looks)]
        looks.append(theory)
        name(plot, "", "", title=title)
        plot.imshow(draw_theory(theory, game, density))
        plot.axis("off")

    experiment.play(min(START, steps // 4))
    look("(a) near the goal")
    at_hand = game.discriminator
    game.discriminator = refit_discriminator(game, density, seed=lab.seed)
    look("(b) D at its best for this G")
    game.discriminator = at_hand
    experiment.play(min(LATER, steps // 4))
    look("(c) G has moved")
    experiment.play(steps - experiment.state.step)
    look("(d) the end")
    jsd = [theory.scalars["divergence/jsd"] for theory in looks]
    wrong = [theory.scalars["discriminator/error"] for theory in looks]
    return Outcome(
        [
            Check("JSD at (d)", jsd[3], at_most=0.03),
            Check("JSD at (a), as often as at (d)", jsd[0] / max(jsd[3], 1e-9), at_least=3),
            Check("mean |D - D*| at (b)", wrong[1], at_most=0.03),
            Check("mean |D - D*| at (a)", wrong[0], at_least=wrong[1]),
            Check("mean |D - D*| at (d)", wrong[3], at_most=0.1),
        ],
        figure,
        data={"JSD": jsd, "mean |D - D*|": wrong},
        games={"G and D at (d)": experiment},
    )


CLAIM = Claim(
    22,
    "figure_1",
    statement="D comes to D*, G follows D's gradient, and both end at p_g = p_data and D = 1/2.",
    formula="D* = p_data / (p_data + p_g); at the end 1/2",
    source="note 002; Goodfellow et al. 2014, figure 1",
    method="One run on the line, stopped four times; D refitted to the frozen G for (b).",
    show=show,
)
