import unittest

from byte_level import END, token_id, token_text, tokens


class ByteLevelTest(unittest.TestCase):
    def test_the_end_is_read_only_where_asked_for(self):
        self.assertEqual(tokens(b"a<|endoftext|>", True), [(97, 0, 1), (END, 1, 14)])
        self.assertEqual(len(tokens(b"<|endoftext|>", False)), 13)

    def test_every_token_has_one_name(self):
        for id in range(END + 1):
            self.assertEqual(token_id(token_text(id)), id)
        self.assertIsNone(token_text(END + 1))
        self.assertIsNone(token_id("no such token"))


if __name__ == "__main__":
    unittest.main()
