r"""Which descriptions? The paper's table 2, and its Fig. 5, beside ours.

    python benchmarks/table2.py --data STORE --text-dir TEXT --descriptions FILE \
        [--config demo --encoder minilm] [--other-writer NAME] \
        [--budget 1000 --seeds 0 1 2] [--save FILE]

TEACH with k = 1, 2, 4 and 8 descriptions of each phrase, with four of another language
model, and with four that answer poorer prompts (Fig. 5 of the paper shows motions of
these, no figures). Runs that are there are not trained again; a row without
descriptions says what makes them.
"""

import arms
import paper

from actiongpt_jax import cli
from actiongpt_jax.training.host_memory import keep_memory

# Fig. 5; the last of its four is the method, row k=4.
PROMPTS = ("action", "person", "movements")


def main(argv):
    parser = arms.make_parser(__doc__, "runs/table2")
    parser.add_argument("--model", choices=arms.MODELS, default="teach")
    parser.add_argument(
        "--other-writer", default="OTHER_MODEL", help="as --descriptions names it"
    )
    args = parser.parse_args(argv)
    chosen = [arms.Arm(f"k={k}", args.model, k=k) for k in (1, 2, 4, 8)]
    chosen.append(arms.Arm("other writer", args.model, writer=args.other_writer))
    chosen += [arms.Arm(f"prompt {name}", args.model, prompt=name) for name in PROMPTS]
    published = paper.TABLE2 if args.model == "teach" else {}
    lines = arms.beside_paper(arms.run(chosen, args), published)
    print(arms.as_text(lines))
    if args.save:
        import record

        record.save(args.save, lines)


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
