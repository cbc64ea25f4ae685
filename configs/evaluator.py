"""The retrieval evaluator, which measures what other models generate.

python -m actiongpt_jax.train --config configs/evaluator.py \
    --config.data.store=STORE --config.text.store=EMBEDDINGS
python -m actiongpt_jax.train --config configs/evaluator.py:demo    # built-in data

It is trained on the training split alone. It shares neither the seed nor any part with
a generator, and it reads phrases, not descriptions, so that models with and without
descriptions are evaluated by the same measure.
"""

import math

from actiongpt_jax.config_fields import base_config
from actiongpt_jax.config_forms import apply_words


def get_config(arg=None):
    """Returns the config; words: demo, debug, k=N, text=phrase|descriptions."""
    config = base_config()

    config.model.name = "evaluator"
    config.model.nfeats = 135
    config.model.latent_dim = 256
    # FID from few samples is biased upwards; the bias grows with this width.
    config.model.embed_dim = 64
    config.model.ff_size = 1024
    config.model.num_layers = 4
    config.model.num_heads = 4
    config.model.dropout = 0.1

    # TMR divides cosines by a temperature of 0.1.
    config.losses.logit_scale = math.log(1 / 0.1)

    config.text.source = "phrase"
    # Generators use seed 42.
    config.train.seed = 20230501
    # A larger batch has more negatives than a generator's batch of 16.
    config.train.batch_size = 64
    config.train.num_epochs = 100
    config.train.eval_epochs = 5
    config.train.best_metric = "val/contrastive"

    return apply_words(
        config,
        arg,
        builtin={
            "model.num_layers": 2,
            "train.learning_rate": 5e-4,
            "train.eval_epochs": 8,
        },
        demo={
            "model.embed_dim": 32,
            "data.max_shapes": 3,
            "train.num_steps": 600,
            "train.batch_size": 32,
        },
        debug={"model.embed_dim": 8},
    )
