// What models that were made small cost and what they lose, side by side.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "compress/packed_file.h"

namespace tranche::compress {

struct ReportRow {
  std::string model, form;  // where it lies; "float32" for a checkpoint's masters, or a packed model's scheme
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;     // of the packed file, or of a checkpoint's parameters alone
  double zeros = 0;            // which part of the weights (tensors of two dimensions) is 0
  double loss = 0;             // nats
  double tokens_a_second = 0;  // of one text that is generated

  double bits() const { return 8 * static_cast<double>(bytes) / static_cast<double>(parameters); }  // a parameter
  double perplexity() const { return std::exp(loss); }
};

// How many of a tensor's elements are 0: of integers the level, of sparse forms what is not stored as well.
std::uint64_t zeros_of(const PackedTensor& tensor);

// The columns of a table of models, and a row's cells in them: shares and changes are of `first`.
std::vector<std::string> report_columns();
std::vector<std::string> report_cells(const ReportRow& row, const ReportRow& first);

// One HTML file that needs no other: a table and a plot of loss over bytes. per: "byte" or "token". rows: at least one.
std::string report_page(const std::string& data, const std::string& per, const std::vector<ReportRow>& rows);

}  // namespace tranche::compress
