"""MotionCLIP with Action-GPT text (arXiv:2203.08063, arXiv:2211.15603).

python -m actiongpt_jax.train --config configs/motionclip.py \
    --config.data.store=STORE --config.text.store=EMBEDDINGS
python -m actiongpt_jax.train --config configs/motionclip.py:demo    # built-in data
"""

from actiongpt_jax.config_fields import base_config
from actiongpt_jax.config_forms import apply_words


def get_config(arg=None):
    """Returns the config; words: demo, debug, k=N, text=phrase|descriptions."""
    config = base_config()

    config.model.name = "motionclip"
    config.model.nfeats = 150
    # The width of the text vectors: 512 for CLIP ViT-B/32, 384 for MiniLM.
    config.model.latent_dim = 512
    config.model.ff_size = 1024
    config.model.num_layers = 8
    config.model.num_heads = 4
    config.model.dropout = 0.1
    config.model.encoder_tokens = 1
    # 'raw' uses the vector unchanged, as published.
    config.model.text_latent = "raw"
    config.model.decode_text = False

    # Loss weights of the published `paper-model`.
    config.losses.lambda_rc = 100.0
    config.losses.lambda_rcxyz = 100.0
    config.losses.lambda_vel = 100.0
    config.losses.lambda_velxyz = 0.0
    config.losses.text_cosine = 1.0
    config.losses.text_mse = 0.0
    config.losses.text_ce = 0.0
    config.losses.image_cosine = 1.0
    config.losses.image_mse = 0.0
    config.losses.image_ce = 0.0
    # Logarithm of 100, as in CLIP ViT-B/32's weights.
    config.losses.logit_scale = 4.6052
    # SMPL or SMPL-H file: rcxyz and velxyz compare its vertices, as published. With ''
    # they compare the 22 joints.
    config.losses.body = ""

    config.data.labels = "frame+sequence"
    # 'reference', the published code, joins all labels of a window.
    config.data.window_text = "covering"
    # 'reference' takes the displacement of an ankle for that of the pelvis.
    config.data.translation = "pelvis"
    # 'yaw' turns every window so that its first frame faces the same direction.
    config.data.align = "none"
    # 'random' turns every training window by a random angle about the vertical.
    config.data.turn = "none"
    config.data.num_frames = 60
    config.data.clip_frames = 100
    # File with embeddings of pictures of the clips, see `data.batches.window_batches`;
    # '' = no pictures.
    config.data.images = ""
    # All windows are equally long.
    config.data.max_shapes = 1

    config.train.batch_size = 20
    config.train.learning_rate = 1e-4
    # The paper's model uses 100 epochs, the one for action recognition 200.
    config.train.num_epochs = 100
    config.train.seed = 10
    config.train.eval_epochs = 10
    config.train.best_metric = "val/rc"

    return apply_words(
        config,
        arg,
        builtin={
            # Otherwise most of a small model's error on new windows is their heading.
            "data.turn": "random",
            # The width of MiniLM, which embeds the built-in texts.
            "model.latent_dim": 384,
            # MiniLM's vectors have length 1, motion latents a length of about 20.
            "model.text_latent": "matched",
            "train.learning_rate": 5e-4,
            # With a higher rate, or without warm-up, such a model collapses to one
            # latent per phrase.
            "train.schedule": "cosine",
            "train.grad_clip": 1.0,
        },
        demo={
            "model.ff_size": 512,
            "model.num_layers": 3,
            # The demo has few steps; without dropout it learns faster.
            "model.dropout": 0.0,
            "train.warmup_steps": 200,
            "train.num_steps": 400,
            "train.batch_size": 20,
            "train.eval_epochs": 10,
        },
        debug={"model.num_layers": 1, "train.warmup_steps": 2},
    )
