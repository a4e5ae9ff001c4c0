import unittest

from words import Words


class WordsTest(unittest.TestCase):
    def test_frequent_words_come_first(self):
        words = Words()
        words.add("the cat and The dog")
        self.assertEqual(words.report(2), "     2  the\n     1  and\n")


if __name__ == "__main__":
    unittest.main()
