"""Serves a local page: type actions, edit descriptions, watch and download motions.

    python -m actiongpt_jax.app                       # the pretrained model
    python -m actiongpt_jax.app --workdir runs/demo

The server listens on 127.0.0.1 unless --host names another address of this machine;
anyone who can reach that address can generate motions.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.errors import InputError

_INTERRUPTED = 130  # exit code of a process that Ctrl-C ended


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("app", __doc__)
    cli.add_model_flags(parser, "those stored with the motions, for display only")
    cli.add_writer_flags(parser)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address of this machine to listen on")
    add("--port", type=int, default=8017, help="port to listen on; 0 picks a free one")
    return parser


def main(argv: Sequence[str]) -> None:
    """Loads the model, generates once to compile it, and serves until interrupted."""
    args = make_parser().parse_args(argv)
    if args.host in ("", "0.0.0.0", "::"):
        raise InputError(
            f"--host must name one address of this machine, got {args.host!r}; a "
            "server that accepts every host name could be reached by other web sites"
        )
    try:
        _serve(args)
    except KeyboardInterrupt:
        # Python would first wait for what compiles, which nothing interrupts, and then
        # take seconds to free what was compiled.
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(_INTERRUPTED)


def _serve(args: argparse.Namespace) -> None:
    from actiongpt_jax.inference.phrase_embedder import (
        PhraseEmbedder,
        known_descriptions,
    )
    from actiongpt_jax.inference.trained import load_model
    from actiongpt_jax.inference.writer import make_writer
    from actiongpt_jax.viewing.app.queue import GenerationQueue
    from actiongpt_jax.viewing.app.server import Server

    writer = make_writer(args, args.workdir)
    model = load_model(args.workdir, args.checkpoint)
    sources = args.embeddings, args.descriptions
    embedder = PhraseEmbedder(model.config, *sources, writer)
    known = known_descriptions(model.config, args.descriptions)
    texts = {phrase: known.texts(phrase)[: model.config.text.k] for phrase in known}
    queue = GenerationQueue(model, embedder, texts, writer)
    server = Server(queue, args.host, args.port)
    try:
        queue.warm_up()
        print(f"{server.url} is ready; press Ctrl-C to stop it", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        # A second Ctrl-C ends the process at once.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        server.server_close()
        queue.close(seconds=1.0)
        raise


if __name__ == "__main__":
    cli.run(main)
