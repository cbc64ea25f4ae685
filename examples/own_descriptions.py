"""Describes an action in your own words, without a language model or an API key.

Needs a model trained on descriptions: `make demo` trains a small one into runs/demo.

python examples/own_descriptions.py --out motions
"""

import argparse
import pathlib

import actiongpt_jax as agpt
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions

# Say what each limb does, in complete sentences. The embeddings of the texts are
# averaged; the demo was trained on four per phrase.
DESCRIPTIONS = {
    "look for a coin": [
        "The person bends both knees and the hips, and the body sinks down low.",
        "Both knees bend deeply, the pelvis lowers, and the torso leans forward.",
        "Someone squats: the hips and knees flex until the thighs are almost level.",
        "The legs bend, the hips move down and back, and the body stays low.",
    ]
}


def main() -> None:
    """Generates the action with and without its descriptions, and stores them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", default="runs/demo", help="a trained model")
    parser.add_argument("--out", default="motions", help="folder for the files")
    args = parser.parse_args()

    model, (phrase,) = agpt.load_model(args.workdir), DESCRIPTIONS
    # fact=0 takes the mean latent, so that motions differ because of their text only.
    # Without descriptions the phrase itself is embedded, with a warning.
    (plain,) = agpt.generate_motions(model, phrase, fact=0)
    (own,) = agpt.generate_motions(model, phrase, fact=0, descriptions=DESCRIPTIONS)
    out = pathlib.Path(args.out)
    agpt.save_motions(out, [plain, own], name="own")
    titles = ["the phrase alone", "with own descriptions"]
    agpt.write_page(out / "own.html", [plain, own], titles, DESCRIPTIONS)

    # For many phrases, embed once: `generate --embeddings` and `train` read the store.
    text = model.config.text
    embed_descriptions(out / "own-text", DESCRIPTIONS, text.encoder, k=text.k)
    print(f"{out}/own.html shows both motions; {out}/own-text is an embedding store")


if __name__ == "__main__":
    main()
