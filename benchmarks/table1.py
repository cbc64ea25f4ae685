r"""Do descriptions help? Reproduces table 1 of the paper next to its figures.

    python benchmarks/table1.py --data STORE --text-dir TEXT --descriptions FILE \
        [--config demo --encoder minilm --clip-encoder minilm] \
        [--budget 1000 --seeds 0 1 2] [--save FILE]

Trains three models on phrases and on four descriptions per phrase with the same budget,
and evaluates their generated motions by the paper's protocol. Finished runs are not
trained again; a row without descriptions names the commands that make them. On AMASS
and BABEL the published TEACH was trained for 1003 epochs of about 15,900 pairs in
batches of 16: --budget 994000.
"""

import arms
import paper

from actiongpt_jax import cli
from actiongpt_jax.training.host_memory import keep_memory


def main(argv):
    parser = arms.make_parser(__doc__, "runs/table1")
    parser.add_argument(
        "--model", choices=arms.MODELS, nargs="+", default=list(arms.MODELS)
    )
    args = parser.parse_args(argv)
    chosen = [
        arms.Arm(f"{model} {source}", model, source)
        for model in args.model
        for source in ("phrase", "descriptions")
    ]
    lines = arms.add_paper_figures(arms.run(chosen, args), paper.TABLE1)
    print(arms.as_text(lines))
    print(f"note: {paper.CAVEAT}")
    if args.save:
        import record

        record.save(args.save, lines, caveat=paper.CAVEAT)


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
