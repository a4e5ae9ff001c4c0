"""Texts for the checks, of our own words: varied ones, plain ones to train on, and pairs that mean the same."""

import random

NOUNS = """river garden lantern harbour winter kitchen teacher orchard violin bridge market doctor island letter candle forest
engine pocket saddle meadow painter window sailor blanket cottage thunder baker ladder copper feather""".split()
VERBS = "finds carries paints repairs forgets follows sells remembers opens lifts describes hides builds cleans watches".split()
ADJECTIVES = "old quiet heavy bright narrow gentle broken frozen clever distant green hollow patient rusty sudden".split()
PLACES = ["near the mill", "by the sea", "under the stairs", "in the valley", "behind the school", "on the hill", "at the station"]
HAN = list("山水火木金土日月人大小中上下左右天地春夏秋冬東西南北海川花鳥魚馬車門手足目耳口心言食飲行来見学校国語")
KANA = list("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクケコ")
HANGUL = list("가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호")
EMOJI = ["🦀", "🌧️", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇨🇭", "🍎", "🚲", "🎻", "❤️", "1️⃣", "🧑🏿‍🚀"]
ACCENTED = """café naïve žluťoučký kůň Ærø façade Ångström İstanbul straße ẞ über niño ŁÓDŹ crème brûlée coöperate e\u0301tude
a\u0308\u0323 ſt Ǆ ﬁnal ½ ①""".split()
OTHER = ["привет мир и добрый день", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "γειά σου κόσμε", "გამარჯობა"]


def sentence(draw):
    """One plain sentence."""
    adjective = f"{draw.choice(ADJECTIVES)} " if draw.random() < 0.6 else ""
    end = f" {draw.choice(PLACES)}" if draw.random() < 0.5 else ""
    return f"The {adjective}{draw.choice(NOUNS)} {draw.choice(VERBS)} the {draw.choice(ADJECTIVES)} {draw.choice(NOUNS)}{end}{draw.choice('...!?')}"


def words(draw, count):
    """Exactly so many words."""
    found = []
    while len(found) < count:
        found += sentence(draw).split()
    return " ".join(found[:count])


def document(draw, sentences):
    """Some sentences in one line."""
    return " ".join(sentence(draw) for _ in range(sentences))


def varied(count=200, seed=3):
    """Texts that embedding must not stumble over: none is left out for being awkward."""
    draw = random.Random(seed)
    script = lambda letters, low, high: "".join(draw.choice(letters) for _ in range(draw.randint(low, high)))
    control = lambda: "".join(draw.choice("\x00\x01\x07\x08\x0b\x0c\x1b\x7f\x85\u200b\u200d\u202e\ufeff\ufffd\t\r\n ") for _ in range(draw.randint(1, 4)))
    texts = ["", " ", "\n\t ", "a", ".", "\x00", "\u200b", "2000", "I", words(draw, 2000), words(draw, 2000).upper(), words(draw, 600)]
    texts += ["".join(draw.choice("abcdefghij") for _ in range(length)) for length in (99, 100, 101, 102, 400)]
    kinds = [
        lambda: draw.choice(NOUNS),
        lambda: sentence(draw),
        lambda: document(draw, draw.randint(2, 40)),
        lambda: script(HAN, 1, 40) + "。" + script(KANA, 0, 20),
        lambda: script(HANGUL, 1, 20) + " " + script(HANGUL, 1, 20),
        lambda: " ".join(draw.choice(EMOJI) for _ in range(draw.randint(1, 6))) + sentence(draw),
        lambda: sentence(draw).replace(" ", draw.choice(EMOJI)),
        lambda: " ".join(draw.choice(ACCENTED) for _ in range(draw.randint(1, 12))),
        lambda: f"https://{draw.choice(NOUNS)}.example/{draw.choice(NOUNS)}?q={draw.choice(VERBS)}%20{draw.randint(0, 999)}#{draw.choice(ADJECTIVES)}",
        lambda: control() + sentence(draw).replace(" ", control(), 3) + control(),
        lambda: draw.choice(OTHER) + " " + sentence(draw),
        lambda: f"{draw.randint(0, 10**9):,} {draw.random():.6f} -{draw.randint(0, 99)}% $3.50 x={draw.choice(NOUNS)}_{draw.randint(0, 9)}();",
    ]
    while len(texts) < count:
        texts.append(kinds[len(texts) % len(kinds)]())
    return texts[:count]


def plain(documents=400, seed=4):
    """Text to train a tokenizer and a small model on: a document a line."""
    draw = random.Random(seed)
    return "".join(document(draw, draw.randint(2, 12)) + "\n" for _ in range(documents))


# Both sides of a pair say the same of one thing; a word of one side has another word on the other side, so that
# counting common words does not solve the task.
SAME = [("river", "stream"), ("doctor", "physician"), ("car", "automobile"), ("child", "kid"), ("house", "dwelling"), ("road", "street"),
        ("forest", "woods"), ("teacher", "instructor"), ("boat", "vessel"), ("rock", "stone"), ("dinner", "supper"), ("garden", "yard"),
        ("picture", "image"), ("film", "movie"), ("shop", "store"), ("coat", "jacket"), ("lawyer", "attorney"), ("gift", "present"),
        ("photographer", "camera operator"), ("bicycle", "bike"), ("sofa", "couch"), ("hill", "mound"), ("letter", "written note"), ("king", "monarch")]
DONE = [("bought", "purchased"), ("repaired", "fixed"), ("found", "discovered"), ("sold", "gave away for money"), ("painted", "coloured"),
        ("lost", "could not find"), ("showed", "presented"), ("watched", "observed"), ("visited", "went to see"), ("cleaned", "washed")]
WHO = [("my sister", "the sister of mine"), ("the old man", "the elderly gentleman"), ("our neighbour", "the person next door"),
       ("the farmer", "the one who works the fields"), ("a stranger", "someone unknown"), ("the boss", "the manager"), ("the cook", "the chef")]
WHEN = [("last week", "seven days ago"), ("yesterday", "the day before today"), ("at dawn", "when the sun rose"), ("this morning", "earlier today"),
        ("in winter", "during the cold season"), ("at night", "after dark")]


def pairs(count, seed):
    """`count` different pairs (anchor, positive) of one meaning each; of two seeds the parity of the meaning differs, so
    that no meaning is in an even seed's pairs and in an odd seed's."""
    draw = random.Random(seed)
    found = {}
    while len(found) < count:
        key = tuple(draw.randrange(len(words)) for words in (WHO, DONE, SAME, WHEN))
        if sum(key) % 2 != seed % 2 or key in found:
            continue
        who, did, what, when = (words[index] for words, index in zip((WHO, DONE, SAME, WHEN), key))
        found[key] = (f"{when[0].capitalize()} {who[0]} {did[0]} the {what[0]}.", f"The {what[1]} is what {who[1]} {did[1]} {when[1]}.")
    return list(found.values())
