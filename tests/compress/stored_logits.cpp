#include "compress/stored_logits.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/base/file.h"
#include "runtime/ops/elementwise.h"
#include "tests/runtime/autograd/differences.h"
#include "tests/support/temporary_folder.h"

namespace tranche::compress {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t samples = 3, sequence = 4, classes = 9;

class LogitsFile : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  CpuDevice device{1};
  const LogitsOrigin origin{.teacher = "abc",
                            .data = "def",
                            .tokenizer = {"byte", "012", classes},
                            .samples = samples,
                            .sequence_length = sequence,
                            .classes = classes};

  // Those of a sample, in some dtype's numbers.
  Tensor logits_of(std::uint64_t sample, DType dtype) {
    const Input all = input(str("sample ", sample), {1, sequence, classes});
    const Tensor wide = tensor(device, all.name, all.shape, all.values), y = wide.sibling(all.name, all.shape, dtype);
    ops::convert(wide, y);
    return y;
  }
  std::filesystem::path write(std::size_t kept, DType dtype = DType::float32) {
    const std::filesystem::path path = folder.path() / "some.logits";
    LogitsWriter writer{path, origin, dtype, kept};
    for (std::uint64_t sample = 0; sample < samples; ++sample)
      writer.append(greatest_logits(logits_of(sample, dtype), kept));
    writer.finish();
    return path;
  }
  std::vector<float> wide(const Tensor& x) {
    const Tensor y = x.sibling("wide", x.shape(), DType::float32);
    ops::store(x, {y, false});
    return {y.span<float>().begin(), y.span<float>().end()};
  }
  std::string refusal(const std::function<void()>& of) {
    try {
      of();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::data);
      return error.what();
    }
    return "nothing was refused";
  }
};

TEST_F(LogitsFile, GivesBackEveryBitWhereAllAreKept) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
    const StoredLogits stored{write(classes, dtype)};
    EXPECT_EQ(stored.identity(), "abc");
    for (const std::uint64_t number : {2u, 0u, 1u}) {
      const StoredLogits::Sample sample = stored.read(number);
      const std::vector<float> expected = wide(logits_of(number, dtype));
      for (std::size_t token = 0; token < sequence; ++token) {
        std::vector<float> row(classes);
        sample.row(token, row);
        EXPECT_TRUE(std::equal(row.begin(), row.end(), expected.begin() + static_cast<std::ptrdiff_t>(token * classes)))
            << name_of(dtype);
      }
    }
  }
}

// What is left out is spread over all others, so that the kept ones keep their probabilities.
TEST_F(LogitsFile, KeepsTheGreatestAndTheirProbabilities) {
  constexpr std::size_t kept = 3;
  const StoredLogits stored{write(kept, DType::bfloat16)};
  EXPECT_EQ(stored.identity(), "abc, its 3 greatest logits");
  const std::vector<float> all = wide(logits_of(1, DType::bfloat16));
  for (std::size_t token = 0; token < sequence; ++token) {
    std::vector<float> row(classes), expected(all.begin() + static_cast<std::ptrdiff_t>(token * classes),
                                              all.begin() + static_cast<std::ptrdiff_t>((token + 1) * classes));
    stored.read(1).row(token, row);
    std::vector<float> sorted = expected;
    std::ranges::sort(sorted, std::greater{});
    double of_rows = 0, of_all = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      of_rows += std::exp(double{row[c]});
      of_all += std::exp(double{expected[c]});
      if (expected[c] >= sorted[kept - 1])
        EXPECT_EQ(row[c], expected[c]);
      else
        EXPECT_LT(row[c], sorted[kept - 1]);
    }
    EXPECT_NEAR(of_rows, of_all, 1e-5 * of_all);
  }
}

TEST_F(LogitsFile, OfEqualLogitsTheFirstAreKept) {
  const Tensor equal = tensor(device, "equal", {1, 5}, {1, 2, 1, 1, 2});
  EXPECT_THAT(greatest_logits(equal, 3).classes, ElementsAre(0u, 1u, 4u));
  EXPECT_THAT(greatest_logits(equal, 1).classes, ElementsAre(1u));
}

TEST_F(LogitsFile, NothingIsStoredOfATeacherThatIsNotFinite) {
  for (const double bad : {double{INFINITY}, double{NAN}})
    EXPECT_THROW(greatest_logits(tensor(device, "bad", {1, 3}, {0, bad, 0}), 2), Error);
}

TEST_F(LogitsFile, IsThereOnlyOnceItIsFinished) {
  const std::filesystem::path path = folder.path() / "some.logits";
  {
    LogitsWriter writer{path, origin, DType::float32, 2};
    writer.append(greatest_logits(logits_of(0, DType::float32), 2));
    EXPECT_THROW(writer.finish(), Error);  // two samples are missing
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(LogitsFile, IsRefusedWhereItIsOfSomethingElse) {
  const StoredLogits stored{write(2)};
  stored.check(classes, sequence, "def");
  stored.check(classes, sequence, "");  // a plan reads no tokens
  EXPECT_THAT(refusal([&] { stored.check(classes + 1, sequence, "def"); }), HasSubstr("a vocabulary of 9 tokens"));
  EXPECT_THAT(refusal([&] { stored.check(classes, sequence - 1, "def"); }), HasSubstr("samples of 4 tokens"));
  EXPECT_THAT(refusal([&] { stored.check(classes, sequence, "other"); }), HasSubstr("of other tokens than those"));
}

TEST_F(LogitsFile, IsRefusedWhereItIsNoneOrDamaged) {
  EXPECT_THAT(refusal([&] { StoredLogits{folder.path() / "nowhere"}; }), HasSubstr("there is no such file of logits"));
  EXPECT_THAT(refusal([&] { StoredLogits{folder.path()}; }), HasSubstr("a folder, not a file of logits"));
  folder.write("text", "not HDF5");
  EXPECT_THAT(refusal([&] { StoredLogits{folder.path() / "text"}; }), HasSubstr("text"));
  {
    hdf5::File foreign = hdf5::File::create(folder.path() / "foreign");
    foreign.close();
  }
  EXPECT_THAT(refusal([&] { StoredLogits{folder.path() / "foreign"}; }), HasSubstr("is not a file of logits"));

  const std::string whole = read_small_file(write(classes));
  write_small_file(folder.path() / "cut", whole.substr(0, whole.size() - 100));
  EXPECT_THAT(refusal([&] { StoredLogits{folder.path() / "cut"}; }), HasSubstr("cut"));
  // One bit of a value: its chunk's checksum differs once it is read.
  const std::vector<float> values = wide(logits_of(1, DType::float32));
  const std::string first(reinterpret_cast<const char*>(values.data()), 16);
  std::string flipped = whole;
  ASSERT_NE(flipped.find(first), std::string::npos);
  flipped[flipped.find(first)] ^= 1;
  write_small_file(folder.path() / "flipped", flipped);
  const StoredLogits damaged{folder.path() / "flipped"};
  damaged.read(0);
  EXPECT_THAT(refusal([&] { damaged.read(1); }), HasSubstr("flipped"));
}

}  // namespace
}  // namespace tranche::compress
