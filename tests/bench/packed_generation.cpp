// Tokens a second of single-stream generation, float32 beside packed forms of the same random weights, measured in
// turns in one process. The model should not fit the caches.
//   build/release/tests/bench/packed_generation [WIDTH LAYERS TOKENS ROUNDS]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "compress/packed_parameters.h"
#include "compress/quantize_weights.h"
#include "compress/sparse_tensor.h"
#include "runtime/base/random.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/models/generate.h"
#include "runtime/optim/placement.h"

namespace tranche {
namespace {

struct Form {
  std::string name;
  double bytes = 0;  // of weights in memory
  std::unique_ptr<Model> model;
  std::vector<double> rates;
};

// One of the packed forms, and who writes it.
struct Way {
  std::string name;
  std::function<void(const std::filesystem::path&, const std::deque<Unit>&, const compress::UnitReader&)> write;
};

Way quantized(compress::Scheme scheme) {
  return {std::string{name_of(scheme)}, [scheme](const auto& path, const auto& units, const auto& values_of) {
            compress::quantize_model(path, {scheme, Json::object(), "byte", ""}, 64, units, values_of);
          }};
}
Way packed(std::string name, compress::Scheme scheme, const compress::Packing& pack) {
  return {std::move(name), [scheme, pack](const auto& path, const auto& units, const auto& values_of) {
            compress::write_packed(path, {scheme, Json::object(), "byte", ""}, units, values_of, pack);
          }};
}

Way pruned(std::string name, const std::function<bool(std::size_t)>& stays) {
  return packed(std::move(name), compress::Scheme::sparse,
                [stays](const Unit&, const Parameter& parameter, std::span<const float> values) {
                  if (parameter.shape.dimensions() != 2)
                    return compress::quantize_weight(parameter.name, parameter.shape, values, {});
                  std::vector<float> left(values.begin(), values.end());
                  for (std::size_t i = 0; i < left.size(); ++i)
                    if (!stays(i)) left[i] = 0;
                  return compress::pack_sparse(parameter.name, parameter.shape, left);
                });
}
std::function<bool(std::size_t)> by_chance(float part) {
  return [part](std::size_t i) { return uniform(RandomKey{1, Purpose::sampling}.number(i)) < part; };
}
bool two_of_four(std::size_t i) { return i % 4 == i / 4 % 4 || i % 4 == (i / 4 + 1 + i / 16 % 3) % 4; }

// Signs of linears alone, as training makes them.
Way of_signs() {
  return packed("1-bit", compress::Scheme::signs,
                [](const Unit& unit, const Parameter& parameter, std::span<const float> values) {
                  const Shape& shape = parameter.shape;
                  if (shape.dimensions() != 2 || unit.name() == "embedding" || unit.name() == "head")
                    return compress::quantize_weight(parameter.name, shape, values, {});
                  compress::PackedTensor tensor{.name = parameter.name,
                                                .shape = shape,
                                                .form = compress::TensorForm::signs,
                                                .group = shape.cols(),
                                                .scales = std::vector<float>(shape.rows(), 0.01f)};
                  compress::store_levels(tensor, values, compress::levels_of(tensor.form));
                  return tensor;
                });
}

std::vector<Way> all_ways() {
  using compress::Scheme;
  return {quantized(Scheme::int8_dynamic),
          quantized(Scheme::int8_weight),
          quantized(Scheme::int4_weight),
          quantized(Scheme::int2_weight),
          of_signs(),
          pruned("50 % left", by_chance(0.5f)),
          pruned("2:4", two_of_four),
          pruned("10 % left", by_chance(0.1f))};
}

int run(std::size_t width, std::size_t layers, std::size_t tokens, std::size_t rounds) {
  Source source;
  source.file = "bench";
  const Json config{{"model_type", "gpt2"},       {"n_layer", layers},         {"n_embd", width},
                    {"n_head", width / 64},       {"n_positions", tokens + 8}, {"vocab_size", 256},
                    {"tie_word_embeddings", true}};
  CpuDevice device{2};
  const auto make = [&] { return make_model(config, source, "", 1); };

  Form floats{"float32", 0, make(), {}};
  ResidentStore store{device, {}, 1024};
  ResidentPlacement placement{Precision{}};
  SumPlacement sums;
  LocalSync sync{sums};
  const WeightTransform weights;
  const ActivationPolicy activations;
  const Seams seams{store, sync, weights, activations};
  for (Unit& unit : floats.model->units()) store.adopt(unit, seams);
  placement.adopt(store.owned(), 1);
  store.publish();
  const std::size_t parameters = floats.model->parameters();
  floats.bytes = 4.0 * static_cast<double>(parameters);

  std::vector<Form> forms;
  forms.push_back(std::move(floats));
  std::vector<std::unique_ptr<compress::PackedFile>> files;
  std::vector<std::unique_ptr<compress::PackedParameters>> parameters_of;
  std::vector<std::unique_ptr<Seams>> packed_seams;
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "tranche-bench.packed";
  for (const Way& way : all_ways()) {
    way.write(path, forms.front().model->units(), [&](const Unit& unit) {
      return compress::UnitValues{unit.values().span<float>(), {}};
    });
    files.push_back(std::make_unique<compress::PackedFile>(path));
    parameters_of.push_back(std::make_unique<compress::PackedParameters>(*files.back(), device));
    compress::PackedParameters& mine = *parameters_of.back();
    packed_seams.push_back(std::make_unique<Seams>(Seams{mine, sync, weights, activations, mine}));
    Form form{way.name, static_cast<double>(files.back()->bytes()), make(), {}};
    for (Unit& unit : form.model->units()) mine.adopt(unit, *packed_seams.back());
    forms.push_back(std::move(form));
    std::filesystem::remove(path);
  }
  for (std::size_t round = 0; round < rounds; ++round)
    for (Form& form : forms) form.rates.push_back(generation_rate(*form.model, device, tokens));

  std::printf("%zu parameters, %zu tokens after the first, the median of %zu rounds in turns\n", parameters, tokens,
              rounds);
  std::printf("%-14s %12s %10s %14s %10s\n", "form", "MB of file", "of float", "tokens/s", "of float");
  double base = 0;
  for (Form& form : forms) {
    std::sort(form.rates.begin(), form.rates.end());
    const double rate = form.rates[form.rates.size() / 2];
    if (base == 0) base = rate;
    std::printf("%-14s %12.1f %9.1f%% %14.2f %9.2fx\n", form.name.c_str(), form.bytes / 1e6,
                100 * form.bytes / forms.front().bytes, rate, rate / base);
  }
  return 0;
}

}  // namespace
}  // namespace tranche

int main(int argc, char** argv) {
  const auto argument = [&](int i, std::size_t otherwise) {
    return argc > i ? static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)) : otherwise;
  };
  return tranche::run(argument(1, 1024), argument(2, 12), argument(3, 64), argument(4, 5));
}
