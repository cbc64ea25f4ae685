"""A local page: type what to do, edit the descriptions, watch, download.

python -m actiongpt_jax.app --workdir runs/demo

Listens on this machine only unless --host names another of its addresses; anyone who
can reach that address may generate.
"""

import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.errors import InputError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("app", __doc__)
    cli.add_model_flags(parser, "those stored with the motions, for show")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address of this machine to listen on")
    add("--port", type=int, default=8017, help="port to listen on; 0 takes a free one")
    return parser


def main(argv: Sequence[str]) -> None:
    """Opens the model, generates once to compile, serves until interrupted."""
    args = make_parser().parse_args(argv)
    if args.host in ("", "0.0.0.0", "::"):
        raise InputError(
            f"--host must name one address of this machine, got {args.host!r}; other "
            "sites could reach a page that answers to every name"
        )

    from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
    from actiongpt_jax.inference.trained import load_model
    from actiongpt_jax.text.descriptions import Descriptions, read_descriptions
    from actiongpt_jax.viewing.app.queue import GenerationQueue
    from actiongpt_jax.viewing.app.server import Server

    model = load_model(args.workdir, args.checkpoint)
    embedder = PhraseEmbedder(model.config, args.embeddings, args.descriptions)
    # The built-in corpus keeps its descriptions with the motions.
    stored = pathlib.Path(model.config.data.store or "", "descriptions.jsonl")
    path = args.descriptions or (stored if stored.is_file() else None)
    known = read_descriptions(path) if path else Descriptions([])
    texts = {phrase: known.texts(phrase)[: model.config.text.k] for phrase in known}
    queue = GenerationQueue(model, embedder, texts)
    server = Server(queue, args.host, args.port)
    queue.warm_up()
    print(f"{server.url} is ready; Ctrl-C ends it", flush=True)
    try:
        server.serve_forever()
    finally:
        server.server_close()
        queue.close()


if __name__ == "__main__":
    cli.run(main)
