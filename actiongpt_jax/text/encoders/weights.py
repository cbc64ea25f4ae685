"""Reads the weights of a Hugging Face folder and checks that none is left over."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from actiongpt_jax.errors import InputError, list_names
from actiongpt_jax.files.reading import parsing, read_json
from actiongpt_jax.files.safetensors import open_tensors
from actiongpt_jax.files.torch_reader import read_torch
from actiongpt_jax.nn.sizes import Sizes

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
TORCH_FILE = "pytorch_model.bin"
# Constants that older versions of transformers saved with the weights.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")


class Tensors:
    """The tensors of a checkpoint, each of which is taken once.

    Attributes:
        where: the checkpoint's folder, for error messages.
    """

    def __init__(
        self, where: str, tensors: Mapping[str, np.ndarray], anchors: Sequence[str]
    ):
        """Removes the prefix that an encoder's names have inside a larger model.

        Args:
            where: the checkpoint's folder, for error messages.
            tensors: name in the file -> array.
            anchors: possible names of a tensor that every encoder of the family has.
                The text before the first anchor that is found is the prefix.
        """
        self.where = where
        prefix = next(
            (
                min((name.removesuffix(anchor) for name in matches), key=len)
                for anchor in anchors
                if (matches := [name for name in tensors if name.endswith(anchor)])
            ),
            "",
        )
        self._left: dict[str, np.ndarray] = {}
        for name, tensor in tensors.items():
            if not name.startswith(prefix):
                continue
            # BERT files of 2018 call the scale of a norm gamma and its shift beta.
            plain = name.removeprefix(prefix)
            plain = plain.replace("LayerNorm.gamma", "LayerNorm.weight")
            self._left[plain.replace("LayerNorm.beta", "LayerNorm.bias")] = tensor
        self._replaced = 0
        self._most = 4 * sum(t.size for t in self._left.values()) + 1_000_000
        self._missing: list[str] = []
        self._misshapen: list[str] = []

    def __contains__(self, name: str) -> bool:
        """Returns whether a tensor exists and has not been taken yet."""
        return name in self._left

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Returns a tensor as float32, or zeros if it is missing or has another shape.

        Args:
            name: name of the tensor, without the prefix.
            shape: the expected shape.
        """
        tensor = self._left.pop(name, None)
        if tensor is None:
            self._missing.append(name)
        elif tensor.shape != shape:
            self._misshapen.append(f"{name} {tensor.shape} for {shape}")
        else:
            return tensor.astype(np.float32)
        # A config may ask for any sizes: before they take much memory, give up.
        self._replaced += 1 + math.prod(shape)
        if self._replaced > self._most:
            self.finish(())
        return np.zeros(shape, np.float32)

    def take_norm(self, name: str, width: int) -> dict[str, np.ndarray]:
        """Returns the parameters of a `LayerNorm`."""
        return {
            "scale": self.take(f"{name}.weight", (width,)),
            "bias": self.take(f"{name}.bias", (width,)),
        }

    def take_stack(
        self, prefix: str, names: Mapping[str, str], sizes: Sizes
    ) -> dict[str, Any]:
        """Returns the parameters of an `Encoder` whose style has `out_in=False`.

        Args:
            prefix: the part of a tensor's name before the number of a layer.
            names: q, k, v, out, norm1, linear1, linear2 or norm2 of a layer -> its name
                in the file.
            sizes: sizes of the stack.
        """
        return {
            f"layer_{i}": self._take_layer(f"{prefix}.{i}.", names, sizes)
            for i in range(sizes.num_layers)
        }

    def _take_layer(
        self, start: str, names: Mapping[str, str], sizes: Sizes
    ) -> dict[str, Any]:
        width, ff_size = sizes.latent_dim, sizes.ff_size

        def linear(part: str, out: int, into: int) -> tuple[np.ndarray, np.ndarray]:
            name = start + names[part]
            weight = self.take(f"{name}.weight", (out, into))
            return weight, self.take(f"{name}.bias", (out,))

        packed = [linear(part, width, width) for part in "qkv"]
        out, out_bias = linear("out", width, width)
        first, first_bias = linear("linear1", ff_size, width)
        second, second_bias = linear("linear2", width, ff_size)
        return {
            "self_attn": {
                "in_kernel": np.concatenate([weight.T for weight, _ in packed], 1),
                "in_bias": np.concatenate([bias for _, bias in packed]),
                "out": {"kernel": out.T, "bias": out_bias},
            },
            "norm1": self.take_norm(start + names["norm1"], width),
            "ff": {
                "linear1": {"kernel": first.T, "bias": first_bias},
                "linear2": {"kernel": second.T, "bias": second_bias},
            },
            "norm2": self.take_norm(start + names["norm2"], width),
        }

    def finish(self, heads: Sequence[str]) -> None:
        """Checks that all tensors were found and that none of the encoder is left.

        Args:
            heads: beginnings of names that do not belong to the encoder. They are
                ignored, like names without the encoder's prefix.

        Raises:
            InputError: if a tensor is missing, unexpected or has another shape; the
                message lists the three kinds separately.
        """
        unexpected = [
            name
            for name in self._left
            if not name.endswith(_BUFFERS) and not name.startswith(tuple(heads))
        ]
        faults = {
            "missing tensors": self._missing,
            "unexpected tensors": unexpected,
            "tensors whose shape differs from config.json": self._misshapen,
        }
        listed = [
            f"{what}: {list_names(names)}" for what, names in faults.items() if names
        ]
        if listed:
            raise InputError(
                f"the weights in {self.where} must fit its config.json, but have"
                f" {'; '.join(listed)}; take both files from the same model"
            )


def read_weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Maps the weights of a folder, from one file or several, into memory.

    Args:
        folder: folder with model.safetensors; or with an index and the files that the
            index names; or with pytorch_model.bin alone.

    Returns:
        Tensor name -> array backed by the file.

    Raises:
        InputError: if there are no weights, or a file is damaged.
    """
    if (folder / FILE).is_file():
        return open_tensors(folder / FILE)[0]
    index = folder / INDEX
    if index.is_file():
        remedy = "fetch the whole model folder again"
        with parsing(index, "JSON with a `weight_map`", remedy):
            names = sorted(set(read_json(index, remedy)["weight_map"].values()))
        tensors: dict[str, np.ndarray] = {}
        for name in names:
            # Only the last part of a name is used, so that no file outside the folder
            # is read.
            path = folder / pathlib.PurePosixPath(str(name)).name
            if not path.is_file():
                raise InputError(
                    f"{index} names {path.name}, which does not exist; fetch it again"
                )
            tensors.update(open_tensors(path)[0])
        return tensors
    if (folder / TORCH_FILE).is_file():
        return _read_torch_file(folder / TORCH_FILE)
    raise InputError(
        f"{folder} must hold {FILE}, but does not; fetch the whole model folder"
    )


def _read_torch_file(path: pathlib.Path) -> dict[str, np.ndarray]:
    content = read_torch(path)
    if not isinstance(content, dict) or not all(
        isinstance(tensor, np.ndarray) for tensor in content.values()
    ):
        raise InputError(
            f"{path} must hold a dictionary of tensors by name and nothing else; use"
            " another file"
        )
    return content
