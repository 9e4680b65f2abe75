"""What every sink must do: inherit `SinkContract` and say how it is made and read."""

from __future__ import annotations

import pytest

from dataguard.errors import StoreUnreachableError
from support.alerts import alert, status

__all__ = ["SinkContract"]


class SinkContract:
    """The laws of `Sink`; `received` are the ids of the alerts that arrived, in order."""

    @pytest.fixture
    def sink(self):
        raise NotImplementedError

    @pytest.fixture
    def dead(self):
        """A sink whose receiver is not there."""
        raise NotImplementedError

    def received(self, sink):
        raise NotImplementedError

    def test_alerts_arrive_in_order(self, sink):
        for start in (0, 3):
            sink.send([alert(number) for number in range(start, start + 3)])
        assert [alert(number).id for number in range(6)] == self.received(sink)

    def test_evil_path_arrives(self, sink):
        evil = alert(1, path=b'a\nb\xff%0A{"')
        sink.send([evil])
        assert [evil.id] == self.received(sink)

    def test_nothing_to_send_is_fine(self, sink):
        sink.send([])
        assert [] == self.received(sink)

    def test_status_is_taken(self, sink):
        sink.note(status())

    def test_dead_receiver_is_an_error_each_time(self, dead):
        for _ in range(2):
            with pytest.raises(StoreUnreachableError):
                dead.send([alert(1)])

    def test_closed_sink_opens_again(self, sink):
        sink.send([alert(1)])
        sink.close()
        sink.close()
        sink.send([alert(2)])
        assert [alert(1).id, alert(2).id] == self.received(sink)
