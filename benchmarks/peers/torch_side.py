"""PyTorch's side of the comparison that `versus_torch.py` runs."""
# pyright: reportMissingImports=false

import functools
import time
import types
from collections.abc import Callable

import numpy as np
import torch
from torch.distributions import Distribution, Normal, kl_divergence
from workload import Runner, Workload

from .motionclip import MotionClip
from .teach import Teach
from .temos import Temos
from .texts import Descriptions, TextSizes, write

MODELS = {"temos": Temos, "teach": Teach, "motionclip": MotionClip}
# Way to run the peer -> mode of torch.compile.
_COMPILED = {"compile": "default", "cudagraphs": "reduce-overhead"}
# Checks of a distribution's parameters would make every step wait for the device.
Distribution.set_default_validate_args(False)


def write_texts(work: Workload) -> None:
    """Writes the text model to the workload's folder."""
    write(work.text_folder, work.clip, TextSizes(*work.text), work.seed)


def check(
    work: Workload, sizes: dict, weights: dict[str, float]
) -> dict[str, np.ndarray]:
    """Computes every array that must agree with our side, in float32 without dropout.

    Args:
        work: the workload.
        sizes: fields of the model's config.
        weights: term name -> weight of the loss.

    Returns:
        name -> array, as `jax_side.check` returns. Training embeds the texts inside the
        step; generation reads stored embeddings.
    """
    peer = Peer(work, sizes, live=True)
    model, device = peer.model.eval(), peer.device
    noise = _tensors(np.load(work.file("noise")), device)
    batch = peer.with_texts()
    outputs = model(batch, noise or None)
    terms = model.terms(outputs, batch)
    total = weighted(terms, weights)
    total.backward()
    stored = Peer(work, sizes, live=False)
    first = next(iter(noise.values()), None)
    with torch.no_grad():
        generated = stored.model.eval().generate(stored.batch, first)
    result = {
        f"outputs/{name}": value
        for name, value in outputs.items()
        if isinstance(value, torch.Tensor) and name != "text"
    }
    result |= {f"terms/{name}": term for name, term in terms.items()}
    result |= {"terms/total": total, "outputs/generated": generated}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        # The gradient is None for parameters that are never used.
        result[f"gradients/{name}"] = (
            torch.zeros_like(parameter) if gradient is None else gradient
        )
    for part in work.parts:
        if work.clip:
            result["texts/vectors"] = batch["text"]
        else:
            real = batch[f"token_mask{part}"][..., None]
            result[f"texts/states{part}"] = batch[f"tokens{part}"] * real
    return {name: value.detach().cpu().numpy() for name, value in result.items()}


def make(
    work: Workload,
    case: str,
    sizes: dict,
    weights: dict[str, float],
    mode: str = "eager",
) -> Runner:
    """Builds a training step or generation, with texts embedded inside or stored.

    Args:
        work: the workload.
        case: 'live', 'precomputed', 'generate_live' or 'generate'.
        sizes: fields of the model's config.
        weights: term name -> weight of the loss.
        mode: 'eager'; or 'compile' or 'cudagraphs', for torch.compile.
    """
    torch.manual_seed(work.seed)
    torch.backends.cuda.matmul.allow_tf32 = work.dtype != "float32"
    peer = Peer(work, sizes, live=case.endswith("live"))
    model, device = peer.model, peer.device
    half = torch.autocast(device.type, torch.bfloat16, work.dtype == "bfloat16")

    generating = case.startswith("generate")
    model.train(not generating)
    eager = mode == "eager"
    # The published learning rate of TEMOS and TEACH; it does not affect the time.
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=7e-5, fused=None if eager else True
    )

    def loss_of(batch):
        return weighted(model.terms(model(batch), batch), weights)

    motion_of = model.generate
    if not eager:
        # torch looks this function up once, in a way that it cannot compile.
        kl_divergence(*[Normal(torch.zeros(1), torch.ones(1))] * 2)
        chosen = _COMPILED[mode] if work.backend == "inductor" else None
        compiled = functools.partial(torch.compile, backend=work.backend, mode=chosen)
        loss_of, motion_of = compiled(loss_of), compiled(motion_of)
        peer.change_text_model(compiled)

    def generate():
        with torch.no_grad(), half:
            return motion_of(peer.with_texts(first_only=True))

    def train():
        optimizer.zero_grad()
        with half:
            loss = loss_of(peer.with_texts())
        loss.backward()
        optimizer.step()
        return loss

    def wait(result):
        del result
        if device.type == "cuda":
            torch.cuda.synchronize()

    def closing():
        facts = {"device_mib": None}
        if device.type == "cuda":
            facts["device_mib"] = torch.cuda.max_memory_allocated() >> 20
        if not eager:
            stats = torch._dynamo.utils.counters["stats"]
            facts["compiled_graphs"] = stats["unique_graphs"]
        return facts

    run = generate if generating else train
    facts = {
        "platform": {"cuda": "gpu"}.get(device.type, device.type),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if not eager:
        started = time.perf_counter()
        wait(run())
        facts["compile_s"] = round(time.perf_counter() - started, 1)
    return Runner(run, wait, facts, closing)


def weighted(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> torch.Tensor:
    """Returns the loss, the weighted sum of its terms."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


class Peer:
    """A peer model with its weights and its batch on the device.

    Attributes:
        device: the GPU if torch finds one, otherwise the CPU.
        model: the torch module.
        batch: the model's inputs, without texts if they are embedded in the step.
    """

    def __init__(self, work: Workload, sizes: dict, live: bool):
        """Loads the workload's files, and if `live` also the text model."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        state = _tensors(np.load(work.file("weights")), self.device)
        self.model = MODELS[work.model](types.SimpleNamespace(**sizes), work.text[0])
        self.model.to(self.device).load_state_dict(state)
        self.batch = {}
        for name, array in np.load(work.file("batch")).items():
            if name.startswith("frame_mask"):
                lengths = [int(n) for n in array.sum(1)]
                self.batch[name.replace("frame_mask", "lengths")] = lengths
            elif not (live and name.startswith(("text", "token"))):
                self.batch[name] = torch.from_numpy(array).to(self.device)
        body = np.load(work.file("body"))
        self.batch["offsets"] = torch.from_numpy(body["offsets"]).to(self.device)
        self.batch["parents"] = body["parents"].tolist()
        self._embed = None
        if live:
            self._embed = Descriptions(work.text_folder, work.clip, work.k)
            self._embed.model.to(self.device)
            self._texts = _tensors(np.load(work.file("texts")), self.device)
        self._parts = work.parts

    def change_text_model(self, change: Callable) -> None:
        """Replaces the text model, if there is one, by `change` of it."""
        if self._embed is not None:
            self._embed.model = change(self._embed.model)

    def with_texts(self, first_only: bool = False):
        """Returns the batch, and embeds its texts first if the peer is live.

        Args:
            first_only: whether to leave out the texts of second actions.
        """
        if self._embed is None:
            return self.batch
        batch = dict(self.batch)
        for part in self._parts[:1] if first_only else self._parts:
            ids, mask = self._texts[f"ids{part}"], self._texts[f"id_mask{part}"]
            result = self._embed(ids, mask)
            if isinstance(result, tuple):
                batch[f"tokens{part}"], batch[f"token_mask{part}"] = result
            else:
                batch["text"] = result
        return batch


def _tensors(arrays, device):
    return {name: torch.from_numpy(a).to(device) for name, a in arrays.items()}
