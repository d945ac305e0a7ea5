#include "compress/report.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iomanip>
#include <sstream>

#include "compress/sparse_tensor.h"
#include "runtime/base/error.h"
#include "runtime/base/round.h"

namespace tranche::compress {
namespace {

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '&': safe += "&amp;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += letter;
    }
  }
  return safe;
}

std::string fixed(double value, int digits) { return str(std::fixed, std::setprecision(digits), value); }

// Numbers of an axis from `low` to `high`: multiples of 1, 2 or 5 times a power of ten, five or so.
std::vector<double> ticks_of(double low, double high) {
  const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  double step = power;
  for (const double factor : {2.0, 5.0, 10.0})
    if (step < rough) step = factor * power;
  std::vector<double> ticks;
  for (double i = std::ceil(low / step); i * step <= high; ++i) ticks.push_back(i * step);
  return ticks;
}

struct Axis {
  double low, high, from, to;  // values, and where they lie in the picture
  double at(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

// Room around the values, so that no point lies on the frame and one alone has an axis.
Axis axis_over(const std::vector<double>& values, double from, double to, bool with_zero) {
  const auto [least, most] = std::ranges::minmax(values);
  const double room = std::max((most - least) * 0.1, std::max(std::fabs(most) * 0.01, 1e-9));
  return {with_zero ? 0 : least - room, most + room, from, to};
}

void line(std::ostream& svg, double x1, double y1, double x2, double y2, const char* kind) {
  svg << "<line class=\"" << kind << "\" x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
      << "\"/>\n";
}
void text(std::ostream& svg, double x, double y, const char* anchor, const std::string& words) {
  svg << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\">" << escaped(words) << "</text>\n";
}

std::string plot(const std::string& per, const std::vector<ReportRow>& rows) {
  constexpr double left = 80, right = 700, top = 20, bottom = 360, mebi = 1 << 20;
  std::vector<double> sizes, losses;
  for (const ReportRow& row : rows) {
    sizes.push_back(static_cast<double>(row.bytes) / mebi);
    losses.push_back(row.loss);
  }
  const Axis x = axis_over(sizes, left, right, true), y = axis_over(losses, bottom, top, false);
  std::ostringstream svg;
  svg << std::fixed << std::setprecision(1) << "<svg viewBox=\"0 0 720 420\" role=\"img\">\n";
  for (const double tick : ticks_of(x.low, x.high)) {
    line(svg, x.at(tick), top, x.at(tick), bottom, "grid");
    text(svg, x.at(tick), bottom + 18, "middle", str(tick));
  }
  for (const double tick : ticks_of(y.low, y.high)) {
    line(svg, left, y.at(tick), right, y.at(tick), "grid");
    text(svg, left - 8, y.at(tick) + 4, "end", str(std::setprecision(5), tick));
  }
  text(svg, (left + right) / 2, bottom + 44, "middle", "MiB");
  text(svg, left, top - 6, "start", "loss, nats per " + per);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    svg << "<circle cx=\"" << x.at(sizes[i]) << "\" cy=\"" << y.at(losses[i]) << "\" r=\"4\"><title>"
        << escaped(rows[i].model) << "</title></circle>\n";
    text(svg, x.at(sizes[i]) + 7, y.at(losses[i]) + 4, "start", str(i + 1));
  }
  svg << "</svg>\n";
  return svg.str();
}

void cells(std::ostream& page, const char* kind, const std::vector<std::string>& row) {
  page << "<tr>";
  for (const std::string& cell : row) page << "<" << kind << ">" << escaped(cell) << "</" << kind << ">";
  page << "</tr>\n";
}

std::uint64_t zero_levels(const PackedTensor& tensor) {
  std::uint64_t zeros = 0;
  for (std::size_t row = 0; row < tensor.shape.rows(); ++row)
    for (std::size_t col = 0; col < tensor.shape.cols(); ++col) zeros += tensor.level(row, col) == 0 ? 1u : 0u;
  return zeros;
}

template <class Bits> std::uint64_t zero_numbers(std::span<const std::byte> values, Bits sign) {
  std::uint64_t zeros = 0;
  for (std::size_t at = 0; at < values.size(); at += sizeof(Bits)) {
    Bits bits = 0;
    std::memcpy(&bits, values.data() + at, sizeof(Bits));
    zeros += (bits & static_cast<Bits>(~sign)) == 0 ? 1u : 0u;
  }
  return zeros;
}

}  // namespace

std::uint64_t zeros_of(const PackedTensor& tensor) {
  constexpr std::uint32_t sign = 0x80000000u;
  if (is_integer(tensor.form)) return zero_levels(tensor);
  if (tensor.form != TensorForm::float32 && !is_sparse(tensor.form))
    return zero_numbers<std::uint16_t>(tensor.values, 0x8000u);
  if (!is_sparse(tensor.form)) return zero_numbers(tensor.values, sign);
  std::vector<float> elements(tensor.shape.size());
  unpack_sparse(tensor, tensor.name, elements);
  return zero_numbers(std::as_bytes(std::span{elements}), sign);
}

std::vector<std::string> report_columns() {
  return {"model", "form", "parameters", "bytes", "share", "bits", "zeros", "loss", "change", "perplexity", "tokens/s"};
}

std::vector<std::string> report_cells(const ReportRow& row, const ReportRow& first) {
  const auto percent = [](double part, int digits) { return fixed(100 * part, digits) + " %"; };
  return {row.model,
          row.form,
          str(row.parameters),
          str(row.bytes),
          percent(static_cast<double>(row.bytes) / static_cast<double>(first.bytes), 1),
          fixed(row.bits(), 2),
          percent(row.zeros, 1),
          fixed(row.loss, 4),
          percent(row.loss / first.loss - 1, 2),
          fixed(row.perplexity(), 3),
          fixed(row.tokens_a_second, 0)};
}

std::string report_page(const std::string& data, const std::string& per, const std::vector<ReportRow>& rows) {
  check(!rows.empty(), "a report of no model");
  std::ostringstream page;
  page << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Compressed models</title>\n"
          "<style>\nbody { font-family: sans-serif; max-width: 60em; margin: 2em auto; }\n"
          "table { border-collapse: collapse; }\nth, td { padding: 0.3em 0.8em; text-align: right; }\n"
          "td:nth-child(2), th:nth-child(2), td:nth-child(3), th:nth-child(3) { text-align: left; }\n"
          "tr { border-bottom: 1px solid #ddd; }\nsvg { width: 100%; }\nsvg text { font-size: 12px; }\n"
          ".grid { stroke: #ddd; }\ncircle { fill: #1f6feb; }\n</style>\n</head>\n<body>\n<h1>Compressed models</h1>\n"
       << "<p>Loss on " << escaped(data) << ", in nats per " << per
       << "; shares and changes are of the first. Bits are those of the file "
          "for each parameter, tokens/s those of one text that is generated.</p>\n"
       << "<table>\n";
  std::vector<std::string> titles = report_columns();
  titles.insert(titles.begin(), "");
  cells(page, "th", titles);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> row = report_cells(rows[i], rows.front());
    row.insert(row.begin(), str(i + 1));
    cells(page, "td", row);
  }
  page << "</table>\n" << plot(per, rows) << "</body>\n</html>\n";
  return page.str();
}

}  // namespace tranche::compress
