"""Body model files in their authors' formats, written here with stand-in classes."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.geometry.body import Body


@pytest.fixture
def arrays():
    rng = np.random.default_rng(5)
    regressor = rng.random((3, 10))
    regressor[regressor < 0.6] = 0
    return {
        "v_template": rng.normal(size=(10, 3)),
        "shapedirs": rng.normal(size=(10, 3, 4)),
        "posedirs": rng.normal(size=(10, 3, 18)),
        "J_regressor": regressor,
        "weights": rng.random((10, 3)),
        "kintree_table": np.array([[2**32 - 1, 0, 1], [0, 1, 2]], np.uint32),
        "f": np.array([[0, 1, 2]], np.uint32),
    }


@pytest.fixture
def chumpy(monkeypatch):
    """Returns `make(kind, **attributes)` for stand-ins of chumpy's classes."""
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    classes = {}
    for module, name in [("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")]:
        kind = type(name, (), {"__module__": module})
        holder = types.ModuleType(module)
        setattr(holder, name, kind)
        monkeypatch.setitem(sys.modules, module, holder)
        classes[name] = kind

    def make(kind, **attributes):
        instance = classes[kind]()
        vars(instance).update(attributes)
        return instance

    return make


def assert_holds(body: Body, arrays):
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        result = getattr(body, name)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, arrays[name].astype(np.float32), name)
    assert body.parents == (-1, 0, 1)
    assert body.faces is not None
    np.testing.assert_array_equal(body.faces, arrays["f"])


# Python 2 wrote protocol 0, with numbers as escaped text (SMPL 1.1), and protocol 2
# (SMPL 1.0, SMPL-H).
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("sparse", [scipy.sparse.csc_matrix, scipy.sparse.csr_matrix])
def test_pickles_with_chumpy_and_scipy(tmp_path, arrays, chumpy, protocol, sparse):
    shapedirs = arrays["shapedirs"]
    # A chumpy selection of the first betas of a larger array.
    more = np.concatenate([shapedirs, shapedirs + 1], -1)
    chosen = np.arange(more.size).reshape(more.shape)[..., :4].ravel()
    fields = {
        **arrays,
        "v_template": chumpy("Ch", x=arrays["v_template"], _dirty_vars=set()),
        "shapedirs": chumpy(
            "Select", a=chumpy("Ch", x=more), idxs=chosen, preferred_shape=(10, 3, 4)
        ),
        "J_regressor": sparse(arrays["J_regressor"]),
        "bs_style": "lbs",
        "pose_training_info": {"note": ["any", 1]},
    }
    path = tmp_path / "SMPLH_male.pkl"
    path.write_bytes(pickle.dumps(fields, protocol))
    assert_holds(bodies.load(path), arrays)


def test_pickle_from_python_2_is_read(tmp_path, arrays):
    """The pickle is written by hand: Python 3 no longer writes bytes as text."""

    def array(value):
        value = np.asarray(value)
        kind, order = value.dtype.str[1:], value.dtype.str[0]
        raw = repr(value.tobytes())[1:]
        shape = "".join(f"I{n}\n" for n in value.shape)
        return (
            "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
            f"(I1\n({shape}tcnumpy\ndtype\n(S'{kind}'\nI0\nI1\ntR(I3\nS'{order}'\nNNN"
            f"I-1\nI-1\nI0\ntbI00\nS{raw}\ntb"
        )

    template = (
        "ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nobject\nNtR"
        f"(dS'x'\n{array(arrays['v_template'])}sb"
    )
    fields = {name: array(value) for name, value in arrays.items()}
    fields["v_template"] = template
    text = "(d" + "".join(f"S'{name}'\n{value}s" for name, value in fields.items())
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes((text + ".").encode("latin-1"))
    assert_holds(bodies.load(path), arrays)


def test_saved_body_is_loaded_unchanged(tmp_path, arrays):
    np.savez(tmp_path / "model.npz", **arrays, bs_style="lbs")
    body = bodies.load(tmp_path / "model.npz")
    assert_holds(body, arrays)
    bodies.save(tmp_path / "again.npz", body)
    assert_holds(bodies.load(tmp_path / "again.npz"), arrays)


def test_gender_selects_a_file_of_a_folder(tmp_path, arrays):
    for i, name in enumerate(["neutral", "male", "female"]):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "model.npz", **{**arrays, "f": arrays["f"] + i})
    for i, name in enumerate(["neutral", "male", "female"]):
        faces = bodies.load(tmp_path, name).faces
        assert faces is not None and faces[0, 0] == i
    with pytest.raises(InputError, match="must hold one body model"):
        bodies.load(tmp_path)
    with pytest.raises(InputError, match="neutral, male, female"):
        bodies.load(tmp_path, "other")
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("SMPLH_MALE", "basicModel_f_lbs_10"):
        (flat / f"{name}.pkl").write_bytes(pickle.dumps(arrays))
    assert_holds(bodies.load(flat, "female"), arrays)
    assert_holds(bodies.load(flat, "male"), arrays)
    with pytest.raises(InputError, match="got none"):
        bodies.load(flat, "neutral")


def test_heels_picks_published_vertices(arrays):
    vertices = np.arange(6890 * 3).reshape(1, 6890, 3)
    result = bodies.heels(vertices)
    assert result.shape == (1, 2, 3) and result[0, :, 0].tolist() == [10161, 20361]
    with pytest.raises(InputError, match="6890"):
        bodies.heels(vertices[:, :100])


class Bomb:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def refusal(path):
    with pytest.raises(InputError) as caught:
        bodies.load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_pickle_that_would_run_code_is_refused(tmp_path, arrays):
    path, trace = tmp_path / "body.pkl", tmp_path / "trace"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        fields = {**arrays, "weights": Bomb(trace)}
        path.write_bytes(pickle.dumps(fields, protocol))
        assert "nothing was run" in refusal(path)
    assert not trace.exists()


def test_rejects_invalid_body_files(tmp_path, arrays, chumpy):
    path = tmp_path / "body.pkl"

    def write(**change):
        fields = {k: v for k, v in {**arrays, **change}.items() if v is not None}
        path.write_bytes(pickle.dumps(fields, 2))
        return refusal(path)

    assert "could not find weights" in write(weights=None)
    assert "(10, 3, 18)" in write(posedirs=np.zeros((10, 3, 9)))
    assert "finite" in write(shapedirs=np.full((10, 3, 4), np.nan))
    assert "joint 2 a parent" in write(kintree_table=np.array([[0, 0, 2], [0, 1, 2]]))
    assert "weights must be an array" in write(weights="text")
    assert "damaged" in write(
        v_template=chumpy("Select", a=chumpy("Ch", x=np.ones(3)), idxs=np.array([7]))
    )
    assert "J_regressor must be an array" in write(
        J_regressor=scipy.sparse.coo_matrix(arrays["J_regressor"])
    )
    path.write_bytes(pickle.dumps([1, 2]))
    assert "a dict of arrays" in refusal(path)
    whole = pickle.dumps(arrays)
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(path)
    other = tmp_path / "body.obj"
    other.write_text("v 0 0 0")
    assert "another kind of file" in refusal(other)
