import base64
import json
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

from multisi.cli.parser import main
from multisi.fairness import load

ROWS = 240
FIT = ("--sensitive", "region", "--index", "case", "--keep", "hired", "--categorical", "job")
LATTICE = ["visits", "score", "job", "woman", "income", "still"]


def table(rows=ROWS, seed=0):
    source = np.random.default_rng(seed)
    k = source.choice(3, rows, p=[0.5, 0.3, 0.2])
    return pd.DataFrame(
        {
            "case": [f"c{i}" for i in range(rows)],
            "visits": source.poisson(2 + 2 * k),
            "region": np.array(["north", "south", "east"])[k],
            "score": np.round(source.normal(20 + 3 * k, 2), 1),
            "job": np.array(["clerk", "nurse", "smith"])[source.binomial(2, 0.3 + 0.2 * k)],
            "gain": np.where(source.random(rows) < 0.5, 0.0, source.gamma(2, 1 + k)),
            "hired": source.choice(["yes", "no, not yet"], rows),
            "x": source.normal(k, 1 + 0.3 * k),
            "woman": source.integers(0, 2, rows),
            "income": np.exp(source.normal(9 + 0.3 * k, 1)).astype(int),
            "still": np.full(rows, 3),
        }
    )


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table().to_csv("t.csv", index=False)
    return tmp_path


def run(*arguments):
    return main(["repair", *map(str, arguments), "--quiet"])


def check_back(given, back):
    assert list(back.columns) == list(given.columns)
    for name in given:
        if name in (*LATTICE, "case", "region", "hired"):
            assert back[name].dtype == given[name].dtype
            assert back[name].tolist() == given[name].tolist()
        else:
            assert np.abs(back[name] - given[name]).max() < 1e-5 * given[name].std()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    "field",
    [("affine",), ("quantile",), ("flow", "--exact", "--max-seconds", "0.5")],
    ids=lambda field: field[0],
)
def test_there_and_back(field, ending, files, capsys):
    given = table()
    if ending == "parquet":
        given.to_parquet("t.parquet")
    options = ("--out", f"z.{ending}", "--save", "r.safetensors", "--field", *field)
    assert run(f"t.{ending}", *FIT, *options) == 0
    told = capsys.readouterr().out
    assert f"'{field[0]}'" in told and "north " in told and "leakage" in told
    moved = (pd.read_csv if ending == "csv" else pd.read_parquet)(f"z.{ending}")
    names = ["job_clerk", "job_nurse", "job_smith"]
    assert list(moved.columns) == [*given.columns[:4], *names, *given.columns[5:]]
    assert moved["hired"].tolist() == given["hired"].tolist()
    assert not np.allclose(moved["visits"], given["visits"])
    undo = ("--inverse", "r.safetensors", "--sensitive", "region", "--out", f"b.{ending}")
    assert run(f"z.{ending}", *undo) == 0
    back = (pd.read_csv if ending == "csv" else pd.read_parquet)(f"b.{ending}")
    check_back(given, back)
    repair = load("r.safetensors")
    assert (repair.solver, repair.n_steps) == (("rk4", 24) if field[0] == "flow" else (None, 16))


def test_amount_and_target_are_recorded(files):
    options = ("--field", "affine", "--amount", "0.5", "--target", "north")
    assert run("t.csv", *FIT, *options, "--out", "z.csv", "--save", "r.safetensors") == 0
    undo = ("--sensitive", "region", "--inverse", "r.safetensors")
    assert run("z.csv", *undo, "--out", "b.csv") == 0
    check_back(table(), pd.read_csv("b.csv"))
    assert run("t.csv", *FIT, *options[:2], "--amount", "0", "--out", "z.csv") == 0
    plain = pd.read_csv("z.csv", float_precision="round_trip")
    assert plain["x"].tolist() == table()["x"].tolist()
    assert plain["job_nurse"].tolist() == (table()["job"] == "nurse").astype(int).tolist()


def test_a_saved_repair_repairs_new_rows(files, capsys):
    table(300, seed=1)[["x", "region", "woman", *LATTICE[:3], *LATTICE[4:], "gain"]].to_csv(
        "new.csv", index=False
    )
    fit = ("--field", "affine", "--save", "r.safetensors", "--out", "z.csv")
    assert run("t.csv", *FIT, *fit) == 0
    use = ("--with", "r.safetensors", "--sensitive", "region")
    assert run("new.csv", *use, "--out", "one.csv", "--restore") == 0
    one = pd.read_csv("one.csv")
    assert list(one.columns) == list(pd.read_csv("new.csv").columns)
    assert set(one["job"]) <= {"clerk", "nurse", "smith"} and one["visits"].dtype == int
    assert "held out" not in capsys.readouterr().out.partition("r.safetensors")[2]
    assert run("new.csv", *use, "--out", "two.csv", "--target", "east", "--amount", "1") == 0
    assert run("two.csv", "--inverse", "r.safetensors", "--target", "east",
               "--sensitive", "region", "--out", "b.csv") == 0  # fmt: skip
    assert pd.read_csv("b.csv")["visits"].tolist() == pd.read_csv("new.csv")["visits"].tolist()


def test_rows_are_known_by_their_index(files):
    given = table()
    given.sample(frac=1, random_state=1).to_csv("shuffled.csv", index=False)
    fit = ("--field", "affine", "--save", "r.safetensors", "--out", "z.csv")
    assert run("t.csv", *FIT, *fit) == 0
    use = ("--with", "r.safetensors", "--sensitive", "region", "--index", "case")
    assert run("shuffled.csv", *use, "--out", "s.csv") == 0
    one, other = (pd.read_csv(name).set_index("case") for name in ("z.csv", "s.csv"))
    pd.testing.assert_frame_equal(one, other.loc[one.index], rtol=1e-9)


def test_the_page_needs_nothing_else(files):
    given = table().rename(columns={"score": "<b>&score"})
    given.to_csv("t.csv", index=False)
    assert run("t.csv", *FIT, "--field", "affine", "--out", "z.csv", "--report", "r.html") == 0
    text = pathlib.Path("r.html").read_text()
    assert not re.search(r"https?:|<script|<b>&score|src=\"(?!data:)|url\(", text)
    assert "&lt;b&gt;&amp;score" in text and len(text) < 200_000
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 4
    assert all(base64.b64decode(picture)[1:4] == b"PNG" for picture in pictures)
    for words in ("Equalised odds", "Causal validity", "group is unknown", "counterfactuals",
                  "Legal compliance", "whole numbers: ", "3 levels", "many rows at 0",
                  "constant: left as it is", "two values", "chance, 0.333", "affine",
                  "held-out rows: <b>"):  # fmt: skip
        assert words in text


@pytest.mark.filterwarnings("ignore:Groups with fewer")
def test_several_columns_and_missing_values(files, capsys):
    given = table().astype({"visits": object})
    given.loc[5, "visits"] = ""
    given.loc[7, "region"] = "NA"
    given.to_csv("t.csv", index=False)
    columns = (*FIT, "--sensitive", "woman", "--field", "affine")
    assert run("t.csv", *columns, "--out", "z.csv") == 2
    assert "line 7 of group 'east & 0': " in (error := capsys.readouterr().err)
    assert "column 'visits' has a missing value (2 rows have one)" in error
    assert run("t.csv", *columns, "--out", "z.csv", "--missing", "drop") == 0
    assert "left out    2 rows" in (told := capsys.readouterr().out)
    assert "east & 0 " in told and "south & 1 " in told
    assert len(pd.read_csv("z.csv")) == ROWS - 2


def test_types_of_parquet(files):
    given = table().astype({"woman": bool, "x": np.float32, "visits": "Int64", "job": "category"})
    given = given.set_index("case")
    given.to_parquet("t.parquet")
    options = ("--sensitive", "region", "--keep", "hired", "--categorical", "job")
    save = ("--field", "affine", "--save", "r.safetensors", "--out", "z.parquet")
    assert run("t.parquet", *options, *save) == 0
    undo = ("--sensitive", "region", "--inverse", "r.safetensors", "--out")
    assert run("z.parquet", *undo, "b.parquet") == 0
    back = pd.read_parquet("b.parquet")
    assert back.index.tolist() == given.index.tolist() and back.index.name == "case"
    assert back["woman"].tolist() == given["woman"].tolist() and back["woman"].dtype == bool
    assert back["job"].tolist() == given["job"].tolist()
    assert back["visits"].tolist() == given["visits"].tolist()
    assert run("z.parquet", *undo, "b.csv") == 0
    assert list(pd.read_csv("b.csv").columns) == ["case", *given.columns]


def test_columns_become_numbers_in_parquet(files):
    assert run("t.csv", *FIT, "--keep", "woman", "--field", "affine", "--out", "z.parquet") == 0
    made = pd.read_parquet("z.parquet")
    assert made["woman"].dtype == np.int64 and made["hired"][0] in ("yes", "no, not yet")


OUT = ("--out", "z.csv")
BAD = [
    (("t.csv", "--sensitive", "regoin", *OUT), "--sensitive: 't.csv' has no column 'regoin'"),
    (("t.csv", *FIT, "--keep", "y", *OUT), "--keep: 't.csv' has no column 'y'; it has 'case'"),
    (("t.csv", "--sensitive", "region", "--keep", "case", *OUT), "column 'job' has 'nurse', wh"),
    (("t.csv", *FIT, "--keep", "job", *OUT), "column 'job' is named twice among --sensitive"),
    (("t.csv", *FIT, "--amount", "1.5", *OUT), "--amount must be from 0, untouched, to 1"),
    (("t.csv", *FIT, "--amount=-.5", *OUT), "--amount must be from 0, untouched, to 1"),
    (("t.csv", *FIT, "--target", "west", *OUT), "target must be 'prior', 'uniform', a group"),
    (("t.csv", *FIT, "--field", "mlp", *OUT), "invalid choice: 'mlp'"),
    (("t.csv", *FIT, "--field", "affine", "--exact", *OUT), "--exact is for a flow"),
    (("t.csv", *FIT, "--out", "no/z.csv"), "the folder 'no' does not exist"),
    (("t.csv", *FIT, "--out", "z.xlsx"), "the format '.xlsx' is no table"),
    (("t.csv", *FIT, "--out", "t.csv"), "is the file of TABLE"),
    (("t.csv", *FIT, *OUT, "--report", "r.pdf"), "--report must be an .html file"),
    (("t.csv", *FIT, *OUT, "--report", "no/r.html"), "the folder 'no' does not exist"),
    (("t.csv", *FIT, *OUT, "--with", "t.csv", "--inverse", "t.csv"), "exclude each other"),
    (("t.csv", *FIT, *OUT, "--with", "r"), "--categorical is settled by the repair of --with"),
    (("t.csv", *FIT[:2], *OUT, "--inverse", "r", "--restore"), "does not go with --inverse"),
    (("t.csv", *FIT[:2], *OUT, "--with", "t.csv"), "is not a safetensors file"),
    (("t.csv", *FIT[:2], *OUT, "--with", "nothing"), "'nothing' cannot be read"),
    (("none.csv", *FIT, *OUT), "The file 'none.csv' does not exist"),
    (("broken.parquet", *FIT, *OUT), "'broken.parquet' cannot be read"),
    (("latin.csv", *FIT, *OUT), "'latin.csv' cannot be read: it is not UTF-8"),
    (("empty.csv", "--sensitive", "a", *OUT), "'empty.csv' must hold a table; got an empty file"),
    (("names.csv", "--sensitive", "a", *OUT), "'names.csv' must have rows; got none"),
    (("twice.csv", "--sensitive", "a", *OUT), "must have a different name; repeated: 'b'"),
    (("ragged.csv", "--sensitive", "a", *OUT), "'ragged.csv', line 3: expected 2 cells; got 3"),
    (("one.csv", "--sensitive", "a", *OUT), "all 3 rows of 'one.csv' are of one group, 'x'"),
    (("one.csv", "--sensitive", "a", "--keep", "b", *OUT), "no column is left to repair"),
    (("gaps.csv", "--sensitive", "a", *OUT), "'gaps.csv', line 3: column 'a' has a missing value"),
    (("inf.csv", "--sensitive", "a", *OUT), "line 3: column 'b' has 'inf', which is not a finite"),
    (("ids.csv", "--sensitive", "a", *OUT), "column 'user_id' has the name of an index"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input(arguments, message, files, capsys):
    texts = {
        "broken.parquet": "PAR1 and no more",
        "empty.csv": "",
        "names.csv": "a,b\n",
        "twice.csv": "a,b,b\nx,1,2\ny,3,4\n",
        "ragged.csv": "a,b\nx,1\ny,2,3\n",
        "one.csv": "a,b\nx,1.5\nx,2.5\nx,0.5\n",
        "gaps.csv": "a,b\nx,1.5\n,2.5\ny,4.5\n",
        "inf.csv": "a,b\nx,1.5\ny,inf\ny,4.5\n",
        "ids.csv": "a,user_id\nx,71\ny,23\ny,55\n",
    }
    for name, text in texts.items():
        pathlib.Path(name).write_text(text)
    pathlib.Path("latin.csv").write_bytes("a,b\nä,1\n".encode("latin-1"))
    before = sorted(path.name for path in files.iterdir())
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("multisi repair: ") and error.count("\n") == 1
    assert sorted(path.name for path in files.iterdir()) == before


def test_tables_that_do_not_go_with_a_repair(files, capsys):
    fit = ("--field", "affine", "--save", "r.safetensors", "--out", "z.csv")
    assert run("t.csv", *FIT, *fit) == 0
    given = table(40)
    given.assign(region=["west", *given["region"][1:]]).to_csv("west.csv", index=False)
    given.drop(columns="x").to_csv("short.csv", index=False)
    given.assign(job=["judge", *given["job"][1:]]).to_csv("judge.csv", index=False)
    use = ("--with", "r.safetensors", "--sensitive", "region", "--out", "y.csv")
    back = ("--inverse", *use[1:])
    for arguments, message in (
        (("west.csv", *use), "line 2: group 'west' was not there when the repair"),
        (("short.csv", *use), "lacks the column 'x' of the repair"),
        (("judge.csv", *use), "'job' has 'judge', which is none of the 3 levels"),
        (("t.csv", *use, "--keep", "x"), "column 'x' is a feature of the repair"),
        (("t.csv", *back), "lacks the column 'job_clerk' of the repair"),
        (("z.csv", *back, "--keep", "job_clerk"), "column 'job_clerk' is a feature"),
        (("t.csv", *use[:3], "woman", "--out", "y.csv"), "'woman' is a feature of the repair"),
    ):
        capsys.readouterr()
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err
    assert not pathlib.Path("y.csv").exists()
    assert run("t.csv", *FIT, *fit, "--restore") == 0
    assert run("t.csv", *back[:4], "--out", "y.csv") == 2
    assert "was fitted with --restore, after which there is no way back" in capsys.readouterr().err


def test_names_that_collide(files, capsys):
    table().rename(columns={"x": "job_clerk"}).to_csv("t.csv", index=False)
    assert run("t.csv", *FIT, "--field", "affine", "--out", "z.csv") == 2
    assert "both called 'job_clerk'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Groups with fewer")
def test_one_row_of_a_group_is_left_out_of_the_figures(files, capsys):
    given = table(60)
    given = given[(given["region"] == "north") | (given.index == 0)]
    given.loc[0, "region"] = "south"
    given.to_csv("t.csv", index=False)
    assert run("t.csv", *FIT, "--field", "affine", "--out", "z.csv", "--report", "r.html") == 0
    assert "leakage" not in capsys.readouterr().out
    assert "this table has none" in pathlib.Path("r.html").read_text()


def test_python_can_use_what_the_command_saved(files):
    fit = ("--field", "affine", "--save", "r.safetensors", "--out", "z.csv")
    assert run("t.csv", *FIT, *fit) == 0
    repair = load("r.safetensors")
    assert json.loads(json.dumps(repair.get_params()))["field"] == "affine"
    given = table().set_index("case")
    features = given[list(repair.feature_names_in_)]
    moved = repair.transform(features, sensitive_features=given["region"])
    assert np.allclose(moved["x"], pd.read_csv("z.csv")["x"], rtol=1e-12, atol=1e-12)
