"""Records the word pieces of CLIP's own cleaning and tokenizer for hard texts.

    pip install open_clip_torch
    python tests/golden/clip_pieces.py

writes clip_pieces.json: the texts, their pieces, and the part of CLIP's vocabulary that
splits them. The texts are those of the file that is there, so that it can be extended.
"""

import json
import pathlib
import re

import regex  # pyright: ignore
from open_clip.tokenizer import SimpleTokenizer  # pyright: ignore

FILE = pathlib.Path(__file__).with_name("clip_pieces.json")
# OpenAI's names of these pieces; open_clip has others.
SPECIAL = {"<|startoftext|>": 49406, "<|endoftext|>": 49407}


def main() -> None:
    """Writes the file again."""
    tokenizer = SimpleTokenizer()
    for name in SPECIAL:
        tokenizer.cache[name] = name
    special = "|".join(map(re.escape, SPECIAL))
    pattern = tokenizer.pat.pattern.replace("<start_of_text>|<end_of_text>", special)
    tokenizer.pat = regex.compile(pattern, regex.IGNORECASE)
    tokenizer.encoder |= SPECIAL
    tokenizer.decoder |= {i: name for name, i in SPECIAL.items()}
    texts = [text for text, _ in json.loads(FILE.read_text("utf-8"))["texts"]]
    pieces = [[text, tokenizer.encode(text)] for text in texts]

    # Merges that make other pieces change nothing about these texts.
    used, merges = {tokenizer.decoder[i] for _, ids in pieces for i in ids}, []
    for first, second in sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.get)[::-1]:
        if first + second in used:
            used |= {first, second}
            merges.append(f"{first} {second}")
    content = {
        "vocabulary": {p: tokenizer.encoder[p] for p in sorted(used)} | SPECIAL,
        "merges": merges[::-1],
        "texts": pieces,
    }
    FILE.write_text(json.dumps(content, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
