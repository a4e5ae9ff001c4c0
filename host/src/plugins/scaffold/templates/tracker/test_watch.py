import unittest

from watch import Watch


class WatchTest(unittest.TestCase):
    def test_it_warns_once_when_patience_ends(self):
        watch = Watch(patience=2)
        losses = [3.0, 2.0, 2.1, 2.2, 2.3]
        events = [{"event": "evaluation", "step": 1, "metrics": {"loss": loss}} for loss in losses]
        self.assertEqual([watch.event(event) for event in events], [False, False, False, True, False])

    def test_other_events_are_left_alone(self):
        self.assertFalse(Watch(patience=1).event({"event": "step", "loss": 9.0}))


if __name__ == "__main__":
    unittest.main()
