import unittest

from targets import choose


class TargetsTest(unittest.TestCase):
    def test_keys_are_left_alone(self):
        self.assertEqual(choose([("q", "query"), ("k", "key"), ("v", "value")]), ["q", "v"])
        self.assertEqual(choose([]), [])


if __name__ == "__main__":
    unittest.main()
