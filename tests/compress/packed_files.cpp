#include "compress/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "compress/packed_parameters.h"
#include "compress/quantize_weights.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/models/model.h"
#include "tests/support/temporary_folder.h"

namespace tranche::compress {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Model> small_model(std::size_t width = 48) {
  Source source;
  source.file = "config.json";
  return make_model(Json{{"model_type", "gpt2"},
                         {"n_layer", 1},
                         {"n_embd", width},
                         {"n_head", 3},
                         {"n_positions", 16},
                         {"vocab_size", 37},
                         {"initializer_range", 0.2}},
                    source, "", 1);
}

class Packed : public ::testing::Test {
 protected:
  tranche::testing::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "model.packed";
  CpuDevice device{2};

  void write(Scheme scheme, Model& model, std::size_t group = 32) {
    quantize_model(path, {scheme, Json{{"seed", 1}}, "byte", ""}, group, model.units(), [&](const Unit& unit) {
      auto values =
          std::make_shared<Tensor>(Tensor::empty(device, "values", Category::workspace, {unit.size()}, DType::float32));
      unit.initialise(1, 0, *values);
      return UnitValues{values->span<const float>(), values};
    });
  }
  std::string bytes() const {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  void put(const std::string& text) const {
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    out << text;
  }
  // What opening the file, and loading a model from it, says; empty if it goes.
  std::string complaint() {
    try {
      const PackedFile file{path};
      const std::unique_ptr<Model> model = small_model();
      PackedParameters parameters{file, device};
      SumPlacement sums;
      LocalSync sync{sums};
      const WeightTransform weights;
      const ActivationPolicy activations;
      const Seams seams{parameters, sync, weights, activations, parameters};
      for (Unit& unit : model->units()) parameters.adopt(unit, seams);
      parameters.check_all_used();
      const Tensor tokens = Tensor::zeros(device, "tokens", Category::activations, {1, 4}, DType::int32);
      const Tensor logits = model->forward(tokens);
      for (const float x : logits.span<float>()) EXPECT_TRUE(std::isfinite(x));
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::checkpoint) << error.what();
      return error.what();
    }
  }
};

class PackedScheme : public Packed, public ::testing::WithParamInterface<Scheme> {};
INSTANTIATE_TEST_SUITE_P(Schemes, PackedScheme,
                         ::testing::Values(Scheme::int8_dynamic, Scheme::int8_weight, Scheme::int4_weight,
                                           Scheme::int2_weight, Scheme::float16, Scheme::bfloat16));

TEST_P(PackedScheme, IsReadAsItWasWritten) {
  const std::unique_ptr<Model> model = small_model();
  write(GetParam(), *model);
  EXPECT_EQ(complaint(), "");
  const PackedFile file{path};
  EXPECT_EQ(file.description().scheme, GetParam());
  EXPECT_EQ(file.description().job, (Json{{"seed", 1}}));
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".partial"));
}

TEST_F(Packed, EveryTruncationIsFound) {
  const std::unique_ptr<Model> model = small_model();
  write(Scheme::int4_weight, *model);
  const std::string whole = bytes();
  for (std::size_t size = 0; size < whole.size(); size += whole.size() / 23) {
    put(whole.substr(0, size));
    EXPECT_NE(complaint(), "") << size;
  }
}

TEST_F(Packed, FlippedBytesAreFoundOrChangeNothing) {
  const auto tensors = [&] {
    const PackedFile file{path};
    std::vector<std::pair<std::vector<float>, std::vector<std::byte>>> all;
    for (std::size_t i = 0; i < file.tensors(); ++i) all.emplace_back(file.read(i).scales, file.read(i).values);
    return all;
  };
  const std::unique_ptr<Model> model = small_model();
  write(Scheme::int8_dynamic, *model);
  const std::string whole = bytes();
  const auto expected = tensors();
  std::size_t found = 0;
  for (std::size_t at = 11; at < whole.size(); at += whole.size() / 101) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    put(damaged);
    if (complaint().empty())
      EXPECT_EQ(tensors(), expected) << at;  // the format leaves room that means nothing
    else
      ++found;
  }
  EXPECT_GT(found, 30u);
}

// A file whose checksum is right and whose content is not.
class Forged : public Packed {
 protected:
  PackedTensor tensor() const {
    return quantize_weight("embedding.weight", {2, 32}, std::vector<float>(64, 0.5f), {TensorForm::int8, 32});
  }
  std::string complaint_about(const PackedTensor& forged, Scheme scheme = Scheme::int8_dynamic) {
    PackedWriter writer{path};
    writer.append(forged);
    writer.finish({scheme, Json{{"seed", 1}}, "byte", ""});
    try {
      PackedFile{path}.read(0);
    } catch (const Error& error) {
      return error.what();
    }
    return complaint();
  }
};

TEST_F(Forged, AnAbsurdScaleIsRefused) {
  for (const float scale : {0.0f, -1.0f, 1e38f, 1e-38f, INFINITY, NAN}) {
    PackedTensor forged = tensor();
    forged.scales[1] = scale;
    EXPECT_THAT(complaint_about(forged), HasSubstr("embedding.weight: scale 1 is "));
  }
}

TEST_F(Forged, AnotherModelsTensorsAreRefused) {
  EXPECT_THAT(complaint_about(tensor()), HasSubstr("embedding.weight has shape [2, 32], the model's has [37, 48]"));
  PackedTensor other = tensor();
  other.name = "nothing";
  EXPECT_THAT(complaint_about(other), HasSubstr("has no embedding.weight"));
  const std::unique_ptr<Model> wide = small_model(96);
  write(Scheme::int8_weight, *wide);
  EXPECT_THAT(complaint(), HasSubstr("has shape"));
}

TEST_F(Forged, SignsAreRefusedWhereNoSignsAreMultiplied) {
  PackedTensor signs{"embedding.weight", {37, 48}, TensorForm::signs, 48, std::vector<float>(37, 1.0f), {}};
  signs.values.resize(signs.value_bytes());
  EXPECT_THAT(complaint_about(signs, Scheme::signs), HasSubstr("embedding.weight is of signs, which are for linears"));
}

TEST_F(Packed, AFileThatIsNoneSaysSo) {
  EXPECT_THAT(complaint(), HasSubstr("there is no such packed model"));
  put("not HDF5");
  EXPECT_NE(complaint(), "");
  hdf5::File other = hdf5::File::create(path);
  other.create_dataset("bytes", hdf5::Type::uint8, {4});
  other.close();
  EXPECT_THAT(complaint(), HasSubstr("not a packed model"));
}

TEST_F(Packed, ValuesThatCannotBePackedLeaveNoFile) {
  EXPECT_THROW(quantize_weight("w", {1, 32}, std::vector<float>(32, NAN), {TensorForm::int8, 32}), Error);
  EXPECT_THROW(quantize_weight("w", {1, 32}, std::vector<float>(32, 1e5f), {TensorForm::float16, 0}), Error);
  EXPECT_THROW(quantize_weight("w", {1, 32}, std::vector<float>(32, 3e38f), {TensorForm::int8, 32}), Error);
  const std::unique_ptr<Model> model = small_model();
  EXPECT_THROW(quantize_model(path, {Scheme::int8_weight, Json{}, "byte", ""}, 32, model->units(),
                              [&](const Unit& unit) {
                                const auto bad = std::make_shared<std::vector<float>>(unit.size(), INFINITY);
                                return UnitValues{*bad, bad};
                              }),
               Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(QuantizeWeight, IsWithinHalfAStepAndKeepsZeros) {
  std::vector<float> values(3 * 75);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  for (std::size_t i = 0; i < 75; ++i) values[i] = 0;  // a row of zeros
  const PackedTensor tensor = quantize_weight("w", {3, 75}, values, {TensorForm::int8, 32});
  ASSERT_EQ(tensor.scales.size(), 9u);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float scale = tensor.scales[i / 75 * 3 + i % 75 / 32];
    const float back = static_cast<float>(static_cast<std::int8_t>(tensor.values[i])) * scale;
    EXPECT_NEAR(back, values[i], scale * 0.5001f);
  }
}

TEST(QuantizeWeight, ByOneScaleAllRowsHaveThatOfTheLargestMagnitude) {
  const std::vector<float> values{0.5f, -0.27f, 0.125f, -12.7f, 6.32f, 0.0f};
  const PackedTensor tensor = quantize_weight_by_one_scale("w", {2, 3}, values, {TensorForm::int8, 3});
  ASSERT_EQ(tensor.scales.size(), 2u);
  for (const float scale : tensor.scales) EXPECT_FLOAT_EQ(scale, 0.1f);
  const std::vector<std::int32_t> levels{5, -3, 1, -127, 63, 0};
  for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_EQ(tensor.level(i / 3, i % 3), levels[i]) << i;
}

TEST(QuantizeWeight, FewBitsSearchTheirScale) {
  std::vector<float> values(64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i * i));
  for (const auto& [form, half] : {std::pair{TensorForm::int4, 8.0f}, {TensorForm::int2, 2.0f}}) {
    const PackedTensor tensor = quantize_weight("w", {1, 64}, values, {form, 64});
    const auto error_with = [&](float scale) {
      double sum = 0;
      for (const float x : values)
        sum += std::pow(double{x} - double{scale * std::clamp(std::nearbyint(x / scale), -half, half - 1)}, 2);
      return sum;
    };
    EXPECT_LE(error_with(tensor.scales[0]), error_with(1 / (half - 1)));
    EXPECT_LE(error_with(tensor.scales[0]), error_with(1 / half));
    double error = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      error += std::pow(double{values[i]} - double{tensor.scales[0]} * tensor.level(0, i), 2);
    EXPECT_NEAR(error, error_with(tensor.scales[0]), 1e-6);
  }
}

TEST(PackedTensors, OfAnyBitsGiveBackTheirLevels) {
  for (const TensorForm form : {TensorForm::int8, TensorForm::int4, TensorForm::int2}) {
    PackedTensor tensor{"w", {5, 13}, form, 13, {}, {}};
    tensor.values.resize(tensor.value_bytes());
    EXPECT_EQ(tensor.values.size(), 5 * ((13 * bits_of(form) + 7) / 8));
    const auto [low, high] = levels_of(form);
    const auto level_at = [&](std::size_t i) { return low + static_cast<std::int32_t>(i * 7) % (high - low + 1); };
    for (std::size_t i = 0; i < 65; ++i) tensor.set_level(i / 13, i % 13, level_at(i));
    for (std::size_t i = 0; i < 65; ++i) EXPECT_EQ(tensor.level(i / 13, i % 13), level_at(i)) << name_of(form);
  }
  PackedTensor signs{"w", {5, 13}, TensorForm::signs, 13, {}, {}};
  signs.values.resize(signs.value_bytes());
  EXPECT_EQ(signs.values.size(), 5u * 2);
  for (std::size_t i = 0; i < 65; ++i) signs.set_level(i / 13, i % 13, i % 3 == 0 ? 1 : -1);
  for (std::size_t i = 0; i < 65; ++i) EXPECT_EQ(signs.level(i / 13, i % 13), i % 3 == 0 ? 1 : -1) << i;
}

}  // namespace
}  // namespace tranche::compress
