import math
import unittest

from rate import Rate


class RateTest(unittest.TestCase):
    def test_unlikely_tokens_are_counted(self):
        rate = Rate(bound=0.1)
        rate.update([math.log(0.05), math.log(0.5)])
        self.assertEqual(rate.value(), 0.5)

    def test_two_halves_make_a_whole(self):
        first, second = Rate(bound=0.1), Rate(bound=0.1)
        first.update([math.log(0.05)])
        second.update([math.log(0.5)] * 3)
        second.merge(first.state())
        self.assertEqual(second.value(), 0.25)
        with self.assertRaises(ValueError):
            second.merge(b"short")


if __name__ == "__main__":
    unittest.main()
