"""TEMOS with Action-GPT text (arXiv:2204.14109, arXiv:2211.15603).

python -m actiongpt_jax.train --config configs/temos.py \
    --config.data.store=STORE --config.text.store=EMBEDDINGS
python -m actiongpt_jax.train --config configs/temos.py:demo    # built-in data
"""

from actiongpt_jax.config_fields import TEMOS_TERMS, base_config, term_weights
from actiongpt_jax.config_forms import CONVERGING, apply_words


def get_config(arg=None):
    """Returns the config; words: demo, debug, small, k=N, text=SOURCE."""
    config = base_config()

    config.model.name = "temos"
    config.model.nfeats = 135
    config.model.latent_dim = 256
    config.model.ff_size = 1024
    config.model.num_layers = 6
    # The published configs say 6 under a key that their code never reads, so the
    # published runs used 4.
    config.model.num_heads = 4
    config.model.dropout = 0.1
    config.model.text_mask = "bool"

    # The values of Action-GPT-TEMOS; the TEMOS paper has 1e-5 for both.
    config.losses.lmd_kl = 32e-5
    config.losses.lmd_latent = 1e-5
    # Weight of a single term of the loss; None is as published.
    config.losses.weights = term_weights(*TEMOS_TERMS)
    config.losses.recons_mean = "frames"

    # The Action-GPT paper used 4 on each of 4 GPUs, TEMOS itself 32.
    config.train.batch_size = 16
    # The value in Action-GPT's configs; the TEMOS paper has 1e-4.
    config.train.learning_rate = 7e-5
    config.train.num_epochs = 1003
    config.train.eval_epochs = 10

    return apply_words(
        config,
        arg,
        builtin={
            "losses.lmd_kl": 1e-5,
            "train.learning_rate": 1e-3,
            "train.eval_epochs": 8,
        },
        demo={
            "model.num_layers": 3,
            "data.max_shapes": 3,
            # The demo has few steps; without dropout it learns faster.
            "model.dropout": 0.0,
            "train.num_steps": 450,
            "train.batch_size": 16,
        },
        small={
            **CONVERGING,
            "data.max_shapes": 3,
            "train.num_steps": 30000,
        },
    )
