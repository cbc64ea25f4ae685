r"""Which descriptions help? Reproduces table 2 and Fig. 5 next to the paper's figures.

    python benchmarks/table2.py --data STORE --text-dir TEXT --descriptions FILE \
        [--config demo --encoder minilm] [--other-writer NAME] \
        [--budget 1000 --seeds 0 1 2] [--save FILE]

Trains TEACH with phrases alone (the default), with k = 1, 2, 4 and 8 descriptions per
phrase, with four descriptions of another language model, and with four that answer
simpler prompts (for these, Fig. 5 of the paper shows motions but no numbers). Finished
runs are not trained again; a row without descriptions names the commands that make
them.
"""

import arms
import paper

from actiongpt_jax import cli
from actiongpt_jax.training.host_memory import keep_memory

# The prompts of Fig. 5, except the last, which is the method itself (row k=4).
PROMPTS = ("action", "person", "movements")


def main(argv):
    parser = arms.make_parser(__doc__, "runs/table2")
    parser.add_argument("--model", choices=arms.MODELS, default="teach")
    parser.add_argument(
        "--other-writer",
        default="OTHER_MODEL",
        help="name of the second language model in --descriptions",
    )
    args = parser.parse_args(argv)
    chosen = [arms.Arm("default", args.model, "phrase")]
    chosen += [arms.Arm(f"k={k}", args.model, k=k) for k in (1, 2, 4, 8)]
    chosen.append(arms.Arm("other writer", args.model, writer=args.other_writer))
    chosen += [arms.Arm(f"prompt {name}", args.model, prompt=name) for name in PROMPTS]
    published = paper.TABLE2 if args.model == "teach" else {}
    lines = arms.add_paper_figures(arms.run(chosen, args), published)
    print(arms.as_text(lines))
    if args.save:
        import record

        record.save(args.save, lines)


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
