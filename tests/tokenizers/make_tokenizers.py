"""Trains small tokenizers of all kinds, and says what Python's `tokenizers` makes of 10,000 texts with them:

    pip install tokenizers==0.23.3 sentencepiece==0.2.2
    python3 tests/tokenizers/make_tokenizers.py

Beside this file it writes a folder `NAME/tokenizer.json` each, and `texts.json`: the words that the texts
are drawn from, and a hash of the ids of every hundred texts. `tokenizers_test.ts` draws the same texts.
"""

import base64
import io
import json
import os
import shutil

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = 10_000
BLOCK = 100
# Every tenth text is also the first of a pair.
PAIR_STEP = 10

WORDS = """
the model reads a short text and gives it one of the classes quickly running runner's don't we'll I'm they've it's
Zürich naïve façade coöperate Ünïcödé señor œuvre Ærø Straße STRASSE İstanbul ılık Łódź žluťoučký kůň đường phố việt nam
ΟΔΥΣΣΕΥΣ Όδυσσεύς λόγος ΣΟΦΟΣ καλημέρα Привет МИР ёлка Ёж й и українська ђурђевак
שלום עולם לְמִשְׁפָּט مرحبا بالعالم العَرَبِيَّة فارسی می‌خواهم ٱللَّٰهِ ٣٤٥ ۱۲۳
नमस्ते दुनिया क्षत्रिय हिन्दी বাংলা ভাষা ਪੰਜਾਬੀ ગુજરાતી தமிழ் மொழி తెలుగు ಕನ್ನಡ മലയാളം සිංහල १२३
สวัสดีชาวโลก ภาษาไทย ພາສາລາວ မြန်မာ ភាសាខ្មែរ བོད་ཡིག ქართული Հայերեն አማርኛ ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ
你好世界 漢字仮名 中文 日本語 テキスト カタカナ ｶﾀｶﾅ ひらがな が か゛ 한국어 각 한글 𠀀𠀁 𪜀 㐀 々〆 ㍿ ㌔
ﬁsh ﬂow oﬃce ½ ² ³ ① ⅷ Ⅻ ™ ℃ Å ℵ ａｂｃ ＡＢＣ １２３ ﷺ ẞ ŉ ǆ ΐ ﬀ
😀 😀😃 👩‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ❤️ ☃ ♥ 𝒳𝔜 𝟘𝟙 ♫♪ ✓ → ⇒ ∑ ∞ ≠ √ € £ ¥ ₿
1 12 123 1234567 3.14 1,000.50 2024-05-17 10:30 50% $99 #tag @user a@b.example https://example.org/x?y=z&w=1
foo-bar foo--bar snake_case CamelCase __init__ "quoted" 'single' «guillemets» „deutsch“ (round) [square] {curly} <tag> </tag>
... … !!! ?! ,,, -- — – ‐ ‑ • · ~ ^ ` | \\ / * + = & ; : ¡ ¿ § ¶ † ‡ 、 。 「 」 ！ ？ ・
[MASK] <mask> [CLS] <s> </s> [UNK] <unk> [SEP] [USER] [USER NAME] <|x|> co-op [USER]s under[USER]
e\u0301 a\u0308\u0301 \u0301 n\u0303 \u1100\u1161\u11a8 \u0958 \u212b \ufb01 \u00ad soft\u00adhyphen zero\u200bwidth \u200d \u200e \ufeff \ufffd
\u0600 \u06dd \u2028 \u2029 \u0085 \u00a0 \u3000 \u2003 \u180e \u0000x \u0007 \ue000 \u202f \u205f
""".split()
# What stands between words.
SPACES = [" ", " ", " ", " ", " ", "  ", "   ", "\n", "\t", "\r\n", "\n\n", " \n ", "\u00a0", "\u3000", "\u0085", "", ""]
# From which single characters are drawn: blocks that Unicode has had for long.
RANGES = [
    [0x20, 0x7E], [0xA0, 0x24F], [0x250, 0x36F], [0x370, 0x377], [0x400, 0x52F], [0x5D0, 0x5EA], [0x620, 0x669],
    [0x905, 0x939], [0xE01, 0xE3A], [0x10A0, 0x10C5], [0x1100, 0x11FF], [0x1E00, 0x1EFF], [0x2000, 0x2064],
    [0x2070, 0x208E], [0x2100, 0x218B], [0x2190, 0x22FF], [0x2460, 0x24FF], [0x3000, 0x303F], [0x3041, 0x30FF],
    [0x3131, 0x318E], [0x3200, 0x32FE], [0x4E00, 0x9FA5], [0xAC00, 0xD7A3], [0xF900, 0xFA2D], [0xFB00, 0xFB06],
    [0xFE30, 0xFE4F], [0xFF01, 0xFFEE], [0x10400, 0x1044F], [0x1D400, 0x1D454], [0x1F300, 0x1F5FF], [0x20000, 0x2A6D6],
    [0x2B740, 0x2B81D], [0x2F800, 0x2FA1D],
]


class Draw:
    """The numbers of a linear congruential generator, which JavaScript can count with too."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 8) % limit


def text(number):
    draw = Draw(number)
    parts = []
    for _ in range(draw.below(24)):
        if draw.below(6) == 0:
            first, last = RANGES[draw.below(len(RANGES))]
            parts.append(chr(first + draw.below(last - first + 1)))
        else:
            parts.append(WORDS[draw.below(len(WORDS))])
        parts.append(SPACES[draw.below(len(SPACES))])
    return "".join(parts)


def hash_of(ids):
    """FNV-1a of 32-bit numbers."""
    value = 2166136261
    for id in ids:
        value = ((value ^ id) * 16777619) % 2**32
    return value


def charsmap():
    """A map of SentencePiece's own making, for some of what NFKC joins and takes apart."""
    rules = {
        "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "™": "TM", "℃": "°C", "①": "1", "½": "1/2", "Å": "å", "\u3000": " ", "\u00a0": " ",
        "\n": " ", "\t": " ", "\u0007": "", "\u200b": "", "\u00ad": "", "e\u0301": "é", "n\u0303": "ñ", "\u1100\u1161": "가", "か\u309b": "が",
        "！": "!", "？": "?", "１": "1", "ａ": "a", "Ａ": "A", "ｶ": "カ", "\u2028": " ", "İ": "i", "é": "e",
    }
    rules_file = os.path.join("/tmp", "rules.tsv")
    with open(rules_file, "w") as file:
        for key, value in rules.items():
            hexes = lambda s: " ".join(f"{ord(c):X}" for c in s)
            file.write(f"{hexes(key)}\t{hexes(value)}\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 3), model_writer=model, vocab_size=400, model_type="char",
        normalization_rule_tsv=rules_file, character_coverage=1.0, hard_vocab_limit=False, minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    os.remove(rules_file)
    return proto.normalizer_spec.precompiled_charsmap


def bert_template(cls="[CLS]", sep="[SEP]"):
    return lambda id: processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0", pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, id(cls)), (sep, id(sep))],
    )


def xlmr_template(id):
    return processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", id("<s>")), ("</s>", id("</s>"))],
    )


def roberta(add_prefix_space):
    return lambda id: processors.RobertaProcessing(
        ("</s>", id("</s>")), ("<s>", id("<s>")), trim_offsets=True, add_prefix_space=add_prefix_space,
    )


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True, normalized=False)]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
N, P = normalizers, pre_tokenizers


def wordpiece(special=BERT, **options):
    return models.WordPiece(unk_token="[UNK]", **options), lambda size: trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=special, show_progress=False, limit_alphabet=500)


def bpe(special, alphabet=500, **options):
    return models.BPE(**options), lambda size: trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False, limit_alphabet=alphabet,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet == 256 else [])


def unigram(special, unk):
    return models.Unigram(), lambda size: trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token=unk, show_progress=False, shrinking_factor=0.7)


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def with_bytes(model):
    """The model with a token for each byte."""
    if isinstance(model["vocab"], list):
        return {**model, "vocab": [*model["vocab"], *([token, -20.0] for token in BYTES)], "byte_fallback": True}
    return {**model, "vocab": {**model["vocab"], **{token: len(model["vocab"]) + i for i, token in enumerate(BYTES)}}}


CASES = {
    "bert_uncased": (wordpiece(), N.BertNormalizer(), P.BertPreTokenizer(), bert_template(), 600, []),
    "bert_cased": (
        wordpiece(), N.BertNormalizer(lowercase=False, strip_accents=None, handle_chinese_chars=False),
        P.BertPreTokenizer(), bert_template(), 600,
        [AddedToken("[USER]", single_word=True), AddedToken("co-op", rstrip=True, normalized=True)],
    ),
    "split_behaviors": (
        wordpiece(max_input_chars_per_word=12), N.Sequence([N.Strip(), N.NFD(), N.StripAccents(), N.Lowercase()]),
        P.Sequence([
            P.Split("-", "merged_with_next"), P.Split(Regex(r"\s+"), "removed"), P.Split(Regex(r"[0-9]"), "contiguous"),
            P.Punctuation("merged_with_previous"), P.Split(Regex(r"\p{L}+|\d+"), "isolated", invert=True),
        ]),
        bert_template(), 600, [AddedToken("[USER NAME]", lstrip=True, rstrip=True)],
    ),
    "roberta": (bpe(ROBERTA, alphabet=256), None, P.ByteLevel(add_prefix_space=False), roberta(False), 700, []),
    "byte_level_prefix_space": (
        bpe(BERT[:4] + [AddedToken("[MASK]", lstrip=True, normalized=False, special=True)], alphabet=256), N.NFC(),
        P.ByteLevel(add_prefix_space=True), bert_template(), 700,
        [AddedToken("   ", normalized=True), AddedToken("  ", normalized=True), AddedToken("<|x|>", normalized=False)],
    ),
    "llama3_pattern": (
        bpe(ROBERTA, alphabet=256, ignore_merges=True), N.NFC(),
        P.Sequence([P.Split(Regex(LLAMA3), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]),
        roberta(False), 700, [],
    ),
    "byte_fallback": (
        bpe(ROBERTA, alphabet=150, byte_fallback=True, fuse_unk=True, unk_token="<unk>"),
        N.Replace(" ", "▁"), P.Split(" ", "merged_with_previous"), xlmr_template, 500, [],
    ),
    "bpe_characters": (
        bpe(BERT, alphabet=120, unk_token="[UNK]"), N.Sequence([N.NFKC(), N.Lowercase(), N.StripAccents()]),
        P.Sequence([P.Whitespace(), P.Digits(individual_digits=True)]), bert_template(), 500, [],
    ),
    "bpe_fused": (
        bpe(ROBERTA, alphabet=120, unk_token="<unk>", fuse_unk=True), N.Sequence([N.NFKD(), N.Prepend("▁")]),
        P.Metaspace(prepend_scheme="never"), roberta(False), 500, [],
    ),
    "unigram_charsmap": (
        unigram(ROBERTA, "<unk>"), "charsmap", P.Sequence([P.WhitespaceSplit(), P.Metaspace()]), xlmr_template, 500, [],
    ),
    "unigram_punctuation": (
        unigram(BERT, "[UNK]"),
        N.Sequence([N.Lowercase(), N.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), N.NFC(), N.Strip(left=False, right=True)]),
        P.Sequence([P.Punctuation("isolated"), P.Metaspace()]), bert_template(), 500, [AddedToken("[USER]")],
    ),
    "unigram_bytes_first": (
        unigram(ROBERTA, "<unk>"), N.NFKC(),
        P.Metaspace(prepend_scheme="first", split=False), xlmr_template, 500, [],
    ),
    "unigram_digits": (
        unigram(ROBERTA, "<unk>"), N.Sequence([N.NFKC(), N.Replace(Regex(" {2,}"), " $&")]),
        P.Sequence([P.Digits(individual_digits=False), P.Punctuation("removed"), P.Metaspace()]),
        xlmr_template, 500, [],
    ),
}


def main():
    corpus = [text(10**6 + number) for number in range(3000)]
    few_letters = [" ".join(WORDS[number % 60:number % 80 + 2]) for number in range(400)]
    texts = [text(number) for number in range(TEXTS)]
    hashes = {}
    for name, ((model, trainer), normalizer, pre_tokenizer, template, size, added) in CASES.items():
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = N.Precompiled(charsmap()) if normalizer == "charsmap" else normalizer
        tokenizer.pre_tokenizer = pre_tokenizer
        # Unigram's trainer wants all characters in the vocabulary.
        tokenizer.train_from_iterator(few_letters if name.startswith("unigram") else corpus, trainer(size))
        tokenizer.add_tokens(added)
        tokenizer.post_processor = template(tokenizer.token_to_id)
        folder = os.path.join(HERE, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        content = json.loads(tokenizer.to_str())
        if name in ("byte_fallback", "unigram_bytes_first"):
            content["model"] = with_bytes(content["model"])
        with open(os.path.join(folder, "tokenizer.json"), "w") as file:
            json.dump(content, file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n")
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        encoded = tokenizer.encode_batch(texts)
        pairs = tokenizer.encode_batch([(texts[number], texts[-1 - number]) for number in range(0, TEXTS, PAIR_STEP)])
        if os.environ.get("DUMP"):
            json.dump([e.ids for e in encoded], open(os.path.join(os.environ["DUMP"], name + ".json"), "w"))
        hashes[name] = [
            hash_of(
                id
                for one in encoded[start:start + BLOCK] + pairs[start // PAIR_STEP:(start + BLOCK) // PAIR_STEP]
                for id in one.ids
            )
            for start in range(0, TEXTS, BLOCK)
        ]
        unknown = sum(e.ids.count(tokenizer.token_to_id("[UNK]") or tokenizer.token_to_id("<unk>")) for e in encoded)
        print(name, tokenizer.get_vocab_size(), os.path.getsize(os.path.join(folder, "tokenizer.json")), unknown)
    with open(os.path.join(HERE, "texts.json"), "w") as file:
        json.dump({"words": WORDS, "spaces": SPACES, "ranges": RANGES, "hashes": hashes}, file, separators=(",", ":"))
        file.write("\n")


main()
