"""A local page: type what to do, edit the descriptions, watch, download.

python -m actiongpt_jax.app --workdir runs/demo

Listens on this machine only unless --host names another of its addresses; whoever can
reach that may generate.
"""

import pathlib
import sys
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.config import cache_folder
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import load_trained
from actiongpt_jax.text.descriptions import Descriptions, read_descriptions
from actiongpt_jax.training.parallel import use_compilation_cache
from actiongpt_jax.viewing.app.queue import GenerationQueue
from actiongpt_jax.viewing.app.requests import ActionRequest, GenerationRequest
from actiongpt_jax.viewing.app.server import Server


def main(argv: Sequence[str]) -> None:
    """Opens the model, generates once to compile, serves until interrupted."""
    parser = cli.Parser(prog="python -m actiongpt_jax.app", description=__doc__)
    add = parser.add_argument
    add("--workdir", required=True, help="of a training run")
    add("--checkpoint", default="latest", help="latest, best or a step")
    add("--embeddings", help="embedding store (that of training)")
    add("--descriptions", help="file of descriptions (beside the motions trained on)")
    add("--host", default="127.0.0.1", help="address of this machine to listen on")
    add("--port", type=int, default=8017, help="0 takes a free one")
    args = parser.parse_args(argv)
    if args.host in ("", "0.0.0.0", "::"):
        raise InputError(
            f"--host must name one address of this machine, got {args.host!r}; other "
            "sites could reach a page that answers to every name"
        )
    which = int(args.checkpoint) if args.checkpoint.isdecimal() else args.checkpoint
    use_compilation_cache(cache_folder() / "xla")
    trained = load_trained(args.workdir, which)
    beside = pathlib.Path(trained.config.data.store or "", "descriptions.jsonl")
    path = args.descriptions or (beside if beside.is_file() else None)
    embedder = PhraseEmbedder(trained.config, args.embeddings, args.descriptions)
    known = read_descriptions(path) if path else Descriptions([])
    texts = {phrase: known.texts(phrase)[: trained.config.text.k] for phrase in known}
    queue = GenerationQueue(trained, embedder, texts)
    server = Server(queue, args.host, args.port)
    warm_up(queue, embedder, next(iter(texts), "walk"))
    print(f"{server.url} is ready; Ctrl-C ends it", flush=True)
    try:
        server.serve_forever()
    finally:
        server.server_close()
        queue.close()


def warm_up(queue: GenerationQueue, embedder: PhraseEmbedder, phrase: str) -> None:
    """Compiles what most requests need, so that none has to wait for it."""
    action = ActionRequest(phrase, 3.0)
    queue.generate(GenerationRequest((action, action)))
    try:
        embedder.describe([phrase])
    except (InputError, OSError) as error:
        print(f"note: only stored texts can be read: {error}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
