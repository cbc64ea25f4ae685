r"""Do descriptions help? The paper's table 1 beside ours.

    python benchmarks/table1.py --data STORE --text-dir TEXT --descriptions FILE \
        [--config demo --encoder minilm --clip-encoder minilm] \
        [--budget 1000 --seeds 0 1 2] [--save FILE]

Three models, each trained on phrases and on four descriptions of each with the same
budget, judged by the paper's protocol on generated motions. Runs that are there are
not trained again; a row without descriptions says what makes them. On AMASS and BABEL
the published TEACH has 1003 epochs of some 15,900 pairs, 16 a batch: --budget 994000.
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
    lines = arms.beside_paper(arms.run(chosen, args), paper.TABLE1)
    print(arms.as_text(lines))
    print(f"note: {paper.CAVEAT}")
    if args.save:
        import record

        record.save(args.save, lines, caveat=paper.CAVEAT)


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
