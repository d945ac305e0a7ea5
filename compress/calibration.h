// Which values the linears of a trained model see: the ranges that static quantization of activations needs.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "compress/range.h"
#include "runtime/comm/communicator.h"
#include "runtime/data/token_file.h"
#include "runtime/models/model.h"
#include "runtime/nn/seams.h"

namespace tranche::compress {

// How a range is chosen of what was seen (compress/histogram.h).
enum class RangeMethod : std::uint8_t { min_max, percentile, least_squares, kl };
RangeMethod range_method_named(const std::string& name);  // Exit::usage for another
std::string_view name_of(RangeMethod method);             // "min-max"

// Linears that show their inputs. One thread at a time.
class WatchedLinears : public LinearForm {
 public:
  using Watcher = std::function<void(const Parameter& weight, const Tensor& x)>;
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }  // empty: nobody
  Tensor multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const override;

 private:
  Watcher watcher_;
};

using InputRanges = std::map<std::string, Range>;  // by the name of the weight that multiplies the input

// Windows of a token file that a model is shown.
struct Windows {
  const TokenFile& file;
  std::size_t micro_batch_size, sequence_length;
  std::uint64_t samples = 0;  // from the file's start; 0: all
};

// Calls see(weight, values) for every input of this rank's windows, and see(weight, {}) for what it computes only
// because the others do: every rank visits the units equally often. Collective. `linears` are the model's.
using SeeInput = std::function<void(const Parameter& weight, std::span<const float> values)>;
void show_windows(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& world, Device& device,
                  const SeeInput& see);

// Two passes: the range of each input, then integer counts in it. min_max needs the first alone. The windows are
// divided over the ranks, and the result is the same bits on any number of them. Collective. `linears` are the model's.
// Throws Exit::data if the file is shorter than one window, Exit::numerics if an input is not finite.
InputRanges calibrate(Model& model, WatchedLinears& linears, const Windows& windows, RangeMethod method,
                      Communicator& world, Device& device);

// As JSON with a checksum; old text or new text, whatever happens.
void write_ranges(const std::filesystem::path& path, const InputRanges& ranges, RangeMethod method);
// Throws Exit::data, naming the file, if it is no file of ranges, damaged, or holds a range that is none.
InputRanges read_ranges(const std::filesystem::path& path);

}  // namespace tranche::compress
