// Files as people have them: their forms, what is left out of a folder, and what is said about it.

#include "core/text/corpus_reader.h"

#include <sys/stat.h>
#include <zlib.h>

#include <random>
#include <utility>

#include "core/text/corpus_memo.h"
#include "core/text/utf8.h"
#include "tests/core/text/data_test.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class CorpusReaderTest : public DataTest {};

std::string packed(std::string_view text, int level = 9) {
  z_stream stream{};
  deflateInit2(&stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST_F(CorpusReaderTest, EndingsAreReadInUpperCaseAndPacked) {
  const std::string pair = R"({"prompt": "What is 1+1?", "completion": "2"})";
  EXPECT_THAT(of("a.JSONL", pair).texts, ElementsAre("What is 1+1?\n[2"));
  EXPECT_THAT(of("b.ndjson", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n").texts, ElementsAre("[one", "[two"));
  EXPECT_THAT(of("c.jsonl.gz", packed(pair)).texts, ElementsAre("What is 1+1?\n[2"));
  EXPECT_THAT(of("d.txt.GZ", packed("prose")).texts, ElementsAre("[prose"));
  EXPECT_THAT(of("e.gz", packed("one ") + packed("two")).texts, ElementsAre("[one two")) << "two members are one text";
  EXPECT_THAT(of("f.json.gz", packed("[" + pair + "]")).texts, ElementsAre("What is 1+1?\n[2"));
  EXPECT_THAT(of("g.jsonl", "\xEF\xBB\xBF" + pair + "\r\n").texts, ElementsAre("What is 1+1?\n[2"));
}

TEST_F(CorpusReaderTest, AJsonFileHoldsAnArrayOneRecordOrLines) {
  EXPECT_THAT(of("a.json", R"([{"text": "one"}, {"text": "a ] and a \" }"},{"text":"three"}])").texts,
              ElementsAre("[one", "[a ] and a \" }", "[three"));
  EXPECT_THAT(of("b.json", "{\n  \"text\": \"one\",\n  \"more\": {\"a\": [1, 2]}\n}\n").texts, ElementsAre("[one"));
  EXPECT_THAT(of("c.json", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n").texts, ElementsAre("[one", "[two"));
  EXPECT_THAT(refused("d.JSON", " \n [ ]"), HasSubstr("no readable text"));
}

TEST_F(CorpusReaderTest, WhatIsWrongInAnArrayHarmsThatElement) {
  const FoundData found =
      of("a.json",
         "[\n{\"text\": \"one\"},\n{\"text\": 5},\n  {\"text\":\n \"a\" \"b\"},\n{\"text\": \"two\"}, 7, \"x\"]");
  EXPECT_THAT(found.texts, ElementsAre("[one", "[two"));
  EXPECT_EQ(found.summary.bad_records, 4);
  EXPECT_THAT(found.summary.examples, ElementsAre("'a.json': line 3, has a field 'text' that is no text, and 3 more"));
  EXPECT_THAT(refused("b.json", "[\n{\"text\":\n \"a\" \"b\"}]"), HasSubstr("line 3, column 8, is not JSON at '\"'"));
  const FoundData cut = of("c.json", "[{\"text\": \"one\"},\n{\"text\": \"tw");
  EXPECT_THAT(cut.texts, ElementsAre("[one"));
  EXPECT_EQ(cut.summary.bad_records, 2) << "the record, and the array that ends in it";
}

TEST_F(CorpusReaderTest, AJsonFileThatIsNoDataIsLeftOutAndSaid) {
  folder_.write("main.c", "int main;");
  folder_.write("package.json", "{\n  \"name\": \"x\",\n  \"version\": 1\n}\n");
  const FoundData found = read_data(folder_.path());
  EXPECT_THAT(found.texts, ElementsAre("[int main;"));
  EXPECT_EQ(found.summary.files, 1);
  EXPECT_EQ(found.summary.unread_skipped, 1);
  EXPECT_THAT(found.summary.examples, ElementsAre(HasSubstr("'package.json' holds no records")));
  EXPECT_THAT(refusal_of(folder_ / "package.json"), HasSubstr("'name', 'version'"));
}

TEST_F(CorpusReaderTest, ATableIsReadByItsHead) {
  EXPECT_THAT(of("a.csv", "id,text\r\n1,one\r\n2,\"two, with \"\"quotes\"\"\nand a line\"\r\n3,\r\n").texts,
              ElementsAre("[one", "[two, with \"quotes\"\nand a line"));
  EXPECT_THAT(of("b.tsv", "prompt\tcompletion\np\tc, d\n").texts, ElementsAre("p\n[c, d"));
  EXPECT_THAT(of("c.csv", "text;n\nhalb, ganz;1\n").texts, ElementsAre("[halb, ganz"));
  EXPECT_THAT(of("d.csv", "ask,say\nq,5\n", "prompt=ask,completion=say").texts, ElementsAre("q\n[5"));
  const FoundData found = of("e.csv", "text,n\none,1\ntwo\n\nthree,3\n\"open,4\n");
  EXPECT_THAT(found.texts, ElementsAre("[one", "[three"));
  EXPECT_THAT(found.summary.examples, ElementsAre("'e.csv': line 3, has 1 cells, and there are 2 columns, and 1 more"));
  EXPECT_THAT(refused("f.csv", "name,age\nAnna,5\n"),
              HasSubstr("line 2, has only fields that say nothing: 'age', 'name'"));
}

TEST_F(CorpusReaderTest, ARowOfAnyNumberOfCellsHarmsItselfAlone) {
  const std::string commas(200'000, ',');
  const FoundData found = of("a.csv", "text,n\n" + commas + "\none,1\n");
  EXPECT_THAT(found.texts, ElementsAre("[one"));
  EXPECT_THAT(found.summary.examples, ElementsAre("'a.csv': line 2, has more than 65536 cells"));
  EXPECT_THAT(refused("b.csv", "text" + commas + "\none,1\n"), HasSubstr("has 2 cells"));
}

TEST_F(CorpusReaderTest, NothingButProseIsTrainedOnAsProse) {
  for (const char* name :
       {"a.html", "b.HTM", "c.xml", "d.parquet", "e.pdf", "f.zip", "g.html.gz", "h.tar.gz", "i.ipynb"}) {
    const TemporaryFolder folder;
    folder.write(name, "<p>text</p>");
    EXPECT_THAT(refusal_of(folder.path()), HasSubstr("which is not read")) << name;
    folder.write("b.txt", "prose");
    const FoundData found = read_data(folder.path());
    EXPECT_THAT(found.texts, ElementsAre("[prose"));
    EXPECT_EQ(found.summary.unread_skipped, 1);
    EXPECT_EQ(left_out_text(found.summary), "1 file of a kind that is not read");
  }
  for (const char* name : {"a.txt", "b.md", "c.py", "d.c", "e.rs", "f.yaml", "Makefile", "g.log", "h.tex"}) {
    const TemporaryFolder folder;
    folder.write(name, "<p>text</p>");
    EXPECT_THAT(read_data(folder.path()).texts, ElementsAre("[<p>text</p>")) << name;
  }
}

TEST_F(CorpusReaderTest, APointerInTheFilesPlaceIsNoText) {
  EXPECT_THAT(refused("a.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"),
              HasSubstr("pointer of Git LFS"));
  EXPECT_THAT(refused("b.jsonl", std::string("\xFF\xFE{\0\"\0", 6)), HasSubstr("UTF-16"));
}

TEST_F(CorpusReaderTest, APackedFileThatIsCutDamagedOrABombGetsASentence) {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < 200'000) text += static_cast<char>('a' + random() % 26);
  const std::string whole = packed(text);
  EXPECT_EQ(of("whole.txt.gz", whole).summary.text_bytes, 200'000);
  EXPECT_THAT(refused("cut.txt.gz", whole.substr(0, whole.size() / 2)), HasSubstr("ends before its packed text"));
  EXPECT_THAT(refused("end.txt.gz", whole.substr(0, whole.size() - 1)), HasSubstr("ends before its packed text"));
  std::string damaged = whole;
  damaged[damaged.size() - 6] ^= 1;  // in the checksum
  EXPECT_THAT(refused("damaged.txt.gz", damaged), HasSubstr("damaged"));
  EXPECT_THAT(refused("none.txt.gz", "text"), HasSubstr("no gzip file"));
  EXPECT_THAT(refused("behind.txt.gz", whole + "text"), HasSubstr("no gzip file, or a damaged one"));
  EXPECT_THAT(refused("bomb.txt.gz", packed(std::string(80'000'000, 'x'))), HasSubstr("more than 250 times its size"));
}

TEST_F(CorpusReaderTest, SpecialFilesAndNamesFromAnywhereAreNoTrouble) {
  folder_.write("a\x1b[31m\xE9.txt", "named");
  folder_.write("bad\nname.bin", std::string_view("\0", 1));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("round", folder_ / "round");
  std::filesystem::create_symlink(folder_ / "pipe", folder_ / "to-pipe");
  const FoundData found = read_data(folder_.path());
  EXPECT_THAT(found.texts, ElementsAre("[named"));
  EXPECT_EQ(found.summary.other_skipped, 3);
  EXPECT_THAT(found.summary.examples,
              ::testing::Contains("'bad\\nname.bin' is binary: it has a zero byte near its beginning"));
  EXPECT_THAT(found.summary.examples, ::testing::Contains("'pipe' is neither file nor folder"));
  EXPECT_THAT(refusal_of(folder_ / "pipe"), HasSubstr("neither a folder nor a file"));
  const std::string message = refused("x\x1b[31my.jsonl", "{\"text\": 5}\n");
  EXPECT_THAT(message, HasSubstr("x\\x1b[31my.jsonl"));
  EXPECT_THAT(message, Not(HasSubstr("\x1b")));
}

TEST_F(CorpusReaderTest, AFileThatIsCutOrGrowsWhileItIsReadGetsASentence) {
  std::string lines;
  while (lines.size() < 4'000'000) lines += "a line of a log file that is rotated\n";
  for (const std::int64_t size : {4096, 5'000'000}) {
    folder_.write("log.txt", lines);
    bool cut = false;
    try {
      for_each_document(folder_.path(), [&](const Document&) {
        if (!std::exchange(cut, true)) std::filesystem::resize_file(folder_ / "log.txt", static_cast<size_t>(size));
      });
      ADD_FAILURE() << size;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::AnyOf(HasSubstr("changed while it was read"), HasSubstr("ends before byte")));
      EXPECT_NE(error.hint(), "");
    }
  }
}

TEST(CorpusMemo, KeepsWhatWasLeftOutAndTellsWhatWasReadWithOtherFieldsApart) {
  const TemporaryFolder folder;
  CorpusListing listing;
  listing.files.push_back({"/data/a.txt", "a.txt", 10, 1, 1, 7});
  const CorpusMemo memo(listing, folder.path()), other(listing, folder.path(), RecordFields::parse("text=body"));
  CorpusSummary summary;
  summary.bad_records = 2;
  summary.unread_skipped = 1;
  summary.examples = {"'x\\xe9' is binary"};
  memo.store(summary);
  ASSERT_TRUE(memo.load().has_value());
  EXPECT_EQ(memo.load()->bad_records, 2);
  EXPECT_EQ(memo.load()->unread_skipped, 1);
  EXPECT_EQ(memo.load()->examples, summary.examples);
  EXPECT_FALSE(other.load().has_value());
}

}  // namespace
}  // namespace mformer
