import unittest

from long_numbers import runs


class LongNumbersTest(unittest.TestCase):
    def test_long_numbers_are_found(self):
        self.assertEqual(runs("č 12345678, 1234567".encode(), 8), [(3, 11)])
        self.assertEqual(runs(b"1" * 70, 6), [(0, 64), (64, 70)])


if __name__ == "__main__":
    unittest.main()
