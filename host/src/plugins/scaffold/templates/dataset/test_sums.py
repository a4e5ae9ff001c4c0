import unittest

from sums import text


class SumsTest(unittest.TestCase):
    def test_sums_are_right(self):
        self.assertEqual(text(0, 1), "0 + 0 = 0")
        for row in range(100):
            left, right = text(row, 20).split(" = ")
            self.assertEqual(sum(map(int, left.split(" + "))), int(right))


if __name__ == "__main__":
    unittest.main()
