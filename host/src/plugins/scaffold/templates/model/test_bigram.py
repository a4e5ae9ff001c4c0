import math
import unittest

from bigram import Counts, UnknownId

SETTINGS = {"vocab_size": 4, "sequence_length": 8, "smoothing": 0.1}


class BigramTest(unittest.TestCase):
    def test_probabilities_sum_to_one_and_follow_the_counts(self):
        counts = Counts(**SETTINGS)
        counts.add(0, 1, 3)
        counts.add(0, 2, 1)
        scores = [math.exp(counts.score(0, id)) for id in range(4)]
        self.assertAlmostEqual(sum(scores), 1.0)
        self.assertTrue(scores[1] > scores[2] > scores[3])
        self.assertEqual([counts.rank(0, id) for id in (1, 2, 3)], [0, 1, 2])

    def test_what_is_written_is_read(self):
        counts = Counts(**SETTINGS)
        counts.add(2, 1, 7)
        self.assertEqual(Counts.from_text(counts.to_text(), **SETTINGS).after, counts.after)
        with self.assertRaises(UnknownId):
            Counts.from_text("0 9 1\n", **SETTINGS)


if __name__ == "__main__":
    unittest.main()
