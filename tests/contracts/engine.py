"""What every engine must do: inherit `EngineContract` and say how it is made."""

from __future__ import annotations

import pickle

import pytest

from contracts import tasks
from dataguard.errors import UsageError
from dataguard.stores.localread import read_unit
from dataguard.stores.localunit import Unit

__all__ = ["EngineContract"]

LOOK_AHEAD = 64
"""More units than any engine here may draw before their results are taken."""


class EngineContract:
    """The laws of `Engine`."""

    @pytest.fixture
    def engine(self):
        raise NotImplementedError

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
    def test_each_unit_comes_back_once_with_its_result_in_order(self, engine, count):
        assert [(n, 2 * n) for n in range(count)] == list(
            engine.map(tasks.slow_double, iter(range(count)))
        )

    def test_units_are_drawn_a_bounded_number_ahead(self, engine):
        drawn = []

        def units():
            for number in range(1000):
                drawn.append(number)
                yield number

        for taken, _ in enumerate(engine.map(tasks.double, units()), 1):
            assert len(drawn) <= taken + LOOK_AHEAD
            if taken == 200:
                break
        assert len(drawn) < 300

    def test_nothing_is_drawn_before_the_first_result_is_asked_for(self, engine):
        drawn = []
        engine.map(tasks.double, (drawn.append(n) or n for n in range(3)))
        assert [] == drawn

    def test_error_of_a_task_is_raised_after_the_results_before_it(self, engine):
        done = []
        with pytest.raises(ValueError, match="unit 3 cannot be done"):
            done.extend(unit for unit, _ in engine.map(tasks.fail, range(20)))
        assert done in ([0, 1, 2], [])
        assert [(0, 0), (1, 2)] == list(engine.map(tasks.double, range(2)))

    def test_error_keeps_what_it_carries(self, engine):
        with pytest.raises(tasks.KeywordError, match="first") as caught:
            list(engine.map(tasks.want_keyword, ["first", "second"]))
        assert "try again" == caught.value.hint

    def test_errors_that_look_like_a_broken_pipe_are_the_tasks_own(self, engine):
        with pytest.raises(EOFError, match="ends early"):
            list(engine.map(tasks.raise_end_of_file, range(3)))

    def test_error_of_the_units_is_raised(self, engine):
        def units():
            yield from range(5)
            raise KeyError("source")

        with pytest.raises(KeyError, match="source"):
            list(engine.map(tasks.double, units()))
        assert 30 == len(list(engine.map(tasks.double, range(30))))

    def test_calls_may_be_nested_as_units(self, engine):
        inner = engine.map(tasks.double, range(60))
        outer = engine.map(tasks.double, (result for _, result in inner))
        assert [4 * n for n in range(60)] == [result for _, result in outer]

    def test_calls_may_be_nested_in_the_loop(self, engine):
        for unit, result in engine.map(tasks.double, range(5)):
            inside = [r for _, r in engine.map(tasks.double, range(unit, unit + 20))]
            assert [2 * n for n in range(unit, unit + 20)] == inside
            assert 2 * unit == result

    def test_closing_early_leaves_the_engine_usable(self, engine):
        for _ in range(3):
            results = engine.map(tasks.slow_double, range(1000))
            next(results)
            results.close()
        assert [(0, 0), (1, 2), (2, 4)] == list(engine.map(tasks.double, range(3)))

    def test_closed_engine_can_be_used_again(self, engine):
        list(engine.map(tasks.double, range(4)))
        engine.close()
        engine.close()
        assert [(0, 0), (1, 2)] == list(engine.map(tasks.double, range(2)))

    def test_large_units_and_results_go_through(self, engine):
        units = [[n] * 300_000 for n in range(4)]
        assert [unit * 2 for unit in units] == [r for _, r in engine.map(tasks.double, units)]

    def test_errors_of_dataguard_arrive_with_their_hint(self):
        error = pickle.loads(pickle.dumps(UsageError("no", hint="yes")))
        assert ("no", "yes") == (error.message, error.hint)

    def test_the_task_of_the_local_store_runs(self, engine, tmp_path):
        units = [Unit(str(tmp_path / str(n)), (), (), read=True, tick_ns=0) for n in range(3)]
        found = [columns.unreadable[0].path for _, columns in engine.map(read_unit, units)]
        assert [b""] * 3 == found
