"""Generations have places of their own, and go when later ones are whole."""

import zarr

from dnmf.run import generations


def test_generations_have_paths_of_their_own_that_sort_by_pass(group):
    names = [generations.new_generation(group, i) for i in (9, 10, 10, 100)]
    assert len(set(names)) == 4
    assert [name.split("-")[0] for name in names] == [f"generations/{i:06d}" for i in (9, 10, 10, 100)]
    assert sorted(names)[0] == names[0]
    assert sorted(names)[-1] == names[-1]


def test_generations_are_dropped_but_those_to_keep(out, group):
    names = [generations.new_generation(group, i) for i in range(4)]
    for at in (*names, ""):
        group.create_array(f"{at}/V".strip("/"), shape=(2,), dtype="f4")[...] = 1
    (out / "generations" / "half").mkdir()
    generations.drop_generations(group, [names[1], names[3], None])
    left = zarr.open_group(str(out), mode="r")["generations"]
    assert sorted(f"generations/{name}" for name in left.group_keys()) == [names[1], names[3]]
    assert not (out / "generations" / "half").exists(), "a process was killed while it deleted this one"
    assert "V" in group
    generations.drop_all_generations(group)
    assert [path.name for path in (out / "generations").iterdir()] == ["zarr.json"]
    generations.clear_top(group)
    assert "V" not in group
